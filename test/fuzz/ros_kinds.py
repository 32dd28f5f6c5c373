"""What the nodes read: parameter files, loop closures, names of keyframes, where cameras are."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any, NoReturn

import numpy as np
from geometry_msgs.msg import PoseWithCovarianceStamped, Transform
from nav_msgs.msg import Odometry

from progeo_core.errors import ProgeoError
from progeo_core.geo import FloatArray
from progeo_core.poses.extrinsics import Extrinsics
from progeo_core.poses.pose_messages import read_transform
from progeo_core.poses.transform import FrameTree
from progeo_core.slam.pose_graph import PoseGraphSettings
from progeo_ros.inputs.odometry import read_odometry
from progeo_ros.outputs.loop_messages import keyframe_frame, keyframe_stamp
from progeo_ros.parameters import NodeParameters
from progeo_ros.pose_graph_inputs import PoseGraphInputs, loop_constraint, pose_prior
from progeo_ros.process.guarded_node import GuardedNode
from progeo_ros.process.spinning import run_node
from test.fuzz.image_kinds import ROOT
from test.fuzz.kind import Kind, RefusedError
from test.fuzz.mutation import mutate_text

_START_S = 1_700_000_000
_FLOATS = (0.0, 1.0, -1.0, math.nan, math.inf, 1e308, -1e308, 1e154, 1e-320, 1e8, 1e12, 1e-12)


class _ReadError(ProgeoError):
    """The parameters were read; nothing more is wanted."""

    exit_code = 99


def _read_parameters(data: bytes, folder: Path) -> None:
    file = folder / "parameters.yaml"
    file.write_bytes(data)

    def make() -> NoReturn:
        node = GuardedNode("progeo_localizer", enable_rosout=False)
        try:
            NodeParameters(node, on_change=lambda: None)
        finally:
            node.destroy_node()
        raise _ReadError("read")

    code = run_node("fuzz", make, ["--ros-args", "--params-file", str(file)])
    if code != _ReadError.exit_code:
        assert code == 2
        raise RefusedError("one line, and code 2")


def _change_frame(seed: str, rng: Random, others: Sequence[str]) -> str:
    changed = mutate_text(seed.encode(), rng, [other.encode() for other in others])
    return changed.decode(errors="replace")


def _read_frame(frame: str, _: Path) -> None:
    stamp_ns = keyframe_stamp(frame)
    assert 0 <= stamp_ns < 2**63
    if not stamp_ns:
        raise RefusedError("no keyframe")


def _stamped(message: Any, step: int) -> Any:
    message.header.stamp.sec = _START_S + step
    message.pose.pose.position.x = float(step)
    message.pose.pose.orientation.w = 1.0
    return message


def _change_numbers(message: Any, rng: Random) -> None:
    pose = message.pose.pose
    for _ in range(rng.randrange(1, 4)):
        target = rng.choice((pose.position, pose.orientation, message.pose.covariance))
        value = rng.choice(_FLOATS) if rng.random() < 0.7 else rng.uniform(-10.0, 10.0)
        if target is message.pose.covariance:
            target[rng.choice((0, 1, 5, 6, 7, 35, rng.randrange(36)))] = value
        else:
            setattr(target, rng.choice("xyz"), value)
    if rng.random() < 0.2:
        message.header.stamp.sec = rng.choice((0, -1, 2**31 - 1, -(2**31), _START_S + 5))
        message.header.stamp.nanosec = rng.choice((0, 2**32 - 1))


def _drive() -> list[Any]:
    """Return odometry with closures and map poses in between."""
    messages: list[Any] = []
    for step in range(1, 21):
        messages.append(_stamped(Odometry(), step))
        messages[-1].child_frame_id = "base"
        if step % 5 == 0:
            closure = _stamped(Odometry(), step)
            closure.pose.pose.position.x = 4.0
            closure.header.frame_id = keyframe_frame((_START_S + step - 4) * 10**9)
            prior = _stamped(PoseWithCovarianceStamped(), step)
            for message in (closure, prior):
                message.pose.covariance = (np.eye(6) * 0.01).ravel()
            messages += [closure, prior]
    return messages


def _change_drive(_: list[Any], rng: Random, __: Sequence[list[Any]]) -> list[Any]:
    messages = _drive()
    for message in rng.sample(messages, 3):
        _change_numbers(message, rng)
    if rng.random() < 0.3:
        frame = rng.choice(messages).header
        frame.frame_id = _change_frame(keyframe_frame(_START_S * 10**9), rng, ["keyframe"])
    return messages


def _read_drive(messages: Sequence[Any], _: Path) -> None:
    inputs = PoseGraphInputs(PoseGraphSettings())
    for message in messages:
        if isinstance(message, PoseWithCovarianceStamped):
            inputs.add(pose_prior(message))
        elif message.child_frame_id:
            odometry = read_odometry(message)
            # As `OdometryInput` does.
            if odometry.stamp_ns > 0 and np.isfinite([*odometry.position, odometry.yaw_rad]).all():
                inputs.add_odometry(odometry)
        else:
            inputs.add(loop_constraint(message))
    solved = inputs.graph.optimize()
    if solved is not None:
        assert np.isfinite(solved.map_to_odometry()).all()
        poses = inputs.graph.path(solved)[1]
        assert np.isfinite(poses).all()
    if inputs.counts.refused:
        raise RefusedError("counted")


def _read_mount(text: str, _: Path) -> None:
    _place(Extrinsics.from_text(text))


def _place(mount: Extrinsics) -> None:
    """Use a mount as the node does; what comes out is finite."""
    camera = mount.camera_pose(np.array([5.0, -7.0, 0.5]), np.array([0.1, 0.2, 0.3, 0.9]))
    estimate = mount.base_estimate(camera, np.eye(6), 0.99)
    numbers: list[FloatArray] = [*camera, estimate.position, estimate.covariance.ravel()]
    assert np.isfinite(np.concatenate(numbers)).all()


def _links(rng: Random, share: float) -> list[tuple[str, str, Transform]]:
    """Return links between the frames of a robot; share: of them, and of numbers, that are odd."""
    frames = ["base", "mast", "head", "camera"]
    links = []
    for parent, child in itertools.pairwise(frames):
        message = Transform()
        for target, names in ((message.translation, "xyz"), (message.rotation, "xyzw")):
            for axis in names:
                odd = rng.random() < share
                setattr(target, axis, rng.choice(_FLOATS) if odd else rng.uniform(0.1, 2.0))
        links.append((rng.choice(frames) if rng.random() < share else parent, child, message))
    return links


def _change_transforms(_: Any, rng: Random, __: Sequence[Any]) -> Any:
    return _links(rng, 0.2)


def _read_transforms(links: Sequence[tuple[str, str, Any]], _: Path) -> None:
    tree = FrameTree()
    for parent, child, message in links:
        tree.add(parent, child, read_transform(message))
    found = tree.pose("camera", "base")
    if found is None:
        raise RefusedError("not connected")
    _place(Extrinsics(*found))


KINDS = {
    "parameter file": Kind(
        lambda: [(ROOT / "config" / "localize.yaml").read_bytes()],
        _read_parameters,
        mutate_text,
        share=0.3,
    ),
    "name of a keyframe": Kind(
        lambda: [keyframe_frame(_START_S * 10**9), keyframe_frame(5)],
        _read_frame,
        _change_frame,
        share=0.5,
    ),
    "mount of a camera": Kind(
        lambda: ["0.2 0 0.5 -0.5 0.5 -0.5 0.5", "1e-3 -2 3 0 0 0.6 0.8"],
        _read_mount,
        _change_frame,
        share=0.5,
    ),
    "static transforms": Kind(
        lambda: [_links(Random(0), 0.0)], _read_transforms, _change_transforms
    ),
    "drive of a pose graph": Kind(lambda: [_drive()], _read_drive, _change_drive),
}
