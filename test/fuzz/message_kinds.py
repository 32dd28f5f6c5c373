"""Messages: their bytes in a bag, and the fields that live ones arrive with."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import numpy as np

from progeo_core.bags import messages
from progeo_core.bags.messages import Header
from progeo_core.geo import Datum, Frame, enu_from_wgs84
from progeo_core.images.intrinsics import Intrinsics, read_camera_info
from progeo_core.poses.pose_buffer import PoseBuffer
from progeo_core.poses.pose_messages import read_fix, read_pose
from progeo_core.poses.pose_track import PoseTrack
from progeo_core.poses.stamp_units import unit_of_stamps
from test.fuzz.image_kinds import encoded, photo
from test.fuzz.kind import Kind, RefusedError
from test.fuzz.mutation import mutate

_FLOATS = (
    *(0.0, -0.0, 1.0, -1.0, math.nan, math.inf, -math.inf, 1e308, -1e308, 5e-324, 1e-160, 1e154),
    *(90.0, 90.1, -180.0, 180.1, 1e8, 1e9, -9999.0, 0.1, 7.3, 48.5),
)
_SECONDS = (0, 1, -1, 2**31 - 1, -(2**31), 1_700_000_000, 1_700_000_001)
_STAMP = Header(1_700_000_000_000_000_000, "front")
_LENS = Intrinsics(640, 480, 500.0, 500.0, 320.0, 240.0, (-0.2, 0.1, 0.0, 0.0, 0.0))


def _serialized() -> list[tuple[str, bytes]]:
    store: Any = messages.typestore()
    position = np.array([48.1, 11.5, 500.0])
    pose = bytes(messages.pose_message(_STAMP, position, 0.5))
    message: Any = store.deserialize_cdr(pose, messages.POSE)
    with_covariance = store.types["geometry_msgs/msg/PoseWithCovariance"](
        message.pose, np.eye(6).ravel()
    )
    twist = store.deserialize_cdr(bytes(4 + 336), "geometry_msgs/msg/TwistWithCovariance")
    whole = store.types[messages.ODOMETRY](message.header, "base", with_covariance, twist)
    return [
        (messages.RAW_IMAGE, bytes(messages.image_message(_STAMP, np.asarray(photo())))),
        (
            messages.COMPRESSED_IMAGE,
            bytes(messages.compressed_image_message(_STAMP, "jpeg", encoded("JPEG"))),
        ),
        (messages.POSE, pose),
        (messages.ODOMETRY, bytes(store.serialize_cdr(whole, messages.ODOMETRY))),
        (messages.FIX, bytes(messages.fix_message(_STAMP, position))),
        (messages.CAMERA_INFO, bytes(messages.camera_info_message(_STAMP, _LENS))),
        ("depth", bytes(messages.depth_message(_STAMP, np.ones((6, 8), np.float32)))),
    ]


def _change_serialized(seed: Any, rng: Random, others: Sequence[Any]) -> Any:
    kind, data = seed
    # Damage is mostly in the fields before the pixels.
    start = mutate(data[:200], rng, [one for _, one in others])
    return kind, start + data[200:]


def _read_serialized(case: Any, _: Path) -> None:
    kind, data = case
    try:
        messages.read_header(data)
    except messages.DAMAGED_MESSAGE as error:
        raise RefusedError(f"damaged: {error}") from error
    if kind in messages.IMAGE_TYPES:
        assert messages.read_image(data, kind, "case").shape[2] == 3
    elif kind == "depth":
        assert not (messages.read_depth_image(data, "case") <= 0.0).any()
    elif kind == messages.CAMERA_INFO:
        found = messages.read_calibration_message(data, rectified=False)
        check_lens(found if isinstance(found, Intrinsics) else None)
    else:
        _check_position(messages.read_position(data, kind))


def check_lens(intrinsics: Intrinsics | None) -> None:
    """Assert that rays of pixels are where their pixels are, or unknown."""
    if intrinsics is None:
        raise RefusedError("no calibration")
    assert np.isfinite(intrinsics.matrix((320, 240))).all()
    assert Intrinsics.from_json(intrinsics.to_json()) == intrinsics
    pixels = np.array([[0.0, 0.0], [intrinsics.width / 2, intrinsics.height / 2], [1e9, np.nan]])
    rays = intrinsics.normalized(pixels)
    seen = intrinsics.pixels(np.concatenate([rays, np.ones((3, 1))], axis=1))
    known = np.isfinite(rays).all(axis=1)
    assert np.allclose(seen[known], pixels[known], atol=0.2, rtol=1e-6)


def _check_position(reading: Any) -> None:
    horizontal = reading.position[:2]
    assert bool(reading.problem) != bool(np.isfinite(horizontal).all())
    if reading.problem:
        raise RefusedError(reading.problem)


def _float(rng: Random) -> float:
    return rng.choice(_FLOATS) if rng.random() < 0.5 else rng.uniform(-100.0, 100.0)


def _fields(rng: Random, *names: str) -> Any:
    return SimpleNamespace(**{name: _float(rng) for name in names})


def _message(rng: Random) -> Any:
    stamp = SimpleNamespace(sec=rng.choice(_SECONDS), nanosec=rng.choice((0, 1, 2**32 - 1)))
    pose = SimpleNamespace(
        position=_fields(rng, "x", "y", "z"), orientation=_fields(rng, "x", "y", "z", "w")
    )
    nested = SimpleNamespace(pose=pose, covariance=[_float(rng) for _ in range(36)])
    return SimpleNamespace(
        header=SimpleNamespace(stamp=stamp, frame_id=""),
        pose=rng.choice((pose, nested)),
        latitude=_float(rng),
        longitude=_float(rng),
        altitude=_float(rng),
        status=SimpleNamespace(status=rng.choice((-128, -2, -1, 0, 1, 2, 127))),
        width=rng.choice((0, 1, 640, 2**32 - 1)),
        height=rng.choice((0, 1, 480, 2**32 - 1)),
        roi=SimpleNamespace(
            x_offset=rng.choice((0, 0, 100, 2**32 - 1)),
            y_offset=rng.choice((0, 0, 100, 2**32 - 1)),
            width=rng.choice((0, 1, 320, 2**32 - 1)),
            height=rng.choice((0, 1, 240, 2**32 - 1)),
        ),
        distortion_model=rng.choice(("plumb_bob", "equidistant", "", "rational_polynomial")),
        d=[_float(rng) for _ in range(rng.choice((0, 1, 4, 5, 8, 14, 500)))],
        k=[_float(rng) for _ in range(9)],
        p=[_float(rng) for _ in range(12)],
    )


def _read_pose(message: Any, _: Path) -> None:
    reading = read_pose(message)
    assert math.isnan(reading.yaw_rad) or abs(reading.yaw_rad) <= math.pi
    _check_position(reading)


def _read_fix(message: Any, _: Path) -> None:
    reading = read_fix(message)
    if not reading.problem:
        geodetic = np.nan_to_num(np.array(reading.position))
        assert np.isfinite(enu_from_wgs84(geodetic, Datum.checked(48.0, 11.0))).all()
    _check_position(reading)


def _read_info(message: Any, _: Path) -> None:
    found = [read_camera_info(message, rectified) for rectified in (False, True)]
    if not any(found):
        raise RefusedError("no calibration")
    for intrinsics in filter(None, found):
        check_lens(intrinsics)


def _read_odometry(drive: Any, _: Path) -> None:
    """Follow a stream of poses as a node does and as a bag's reader does."""
    buffer = PoseBuffer()
    readings = [read_pose(message) for message in drive]
    usable = [one for one in readings if not one.problem]
    for one in usable:
        buffer.add(one.stamp_ns, one.position, one.yaw_rad)
    stamps = [one.stamp_ns for one in usable]
    unit_of_stamps(stamps)
    for first, last in itertools.pairwise(stamps):
        travel = buffer.travel(first, last)
        assert travel is None or (math.isfinite(travel.distance_m) and travel.distance_m >= 0.0)
        pose = buffer.at(last)
        assert pose is None or np.isfinite(pose.position).all()
    track = PoseTrack.from_poses(
        stamps,
        [one.position for one in usable],
        Frame.LOCAL,
        [one.yaw_rad for one in usable],
        [one.orientation for one in usable],
    )
    assert track.orientation_at(stamps).shape == (len(stamps), 4)
    position, _yaw = track.at(stamps)
    assert position.shape == (len(stamps), 3)


def _live(read: Callable[[Any, Path], object], count: int = 0) -> Kind:
    """Return a kind whose cases are made of numbers alone: one message, or a stream of them."""

    def change(_: int, rng: Random, __: Sequence[int]) -> Any:
        return [_message(rng) for _ in range(count)] if count else _message(rng)

    def read_any(case: Any, folder: Path) -> None:
        if case != 0:  # the seed, of which nothing is made
            read(case, folder)

    return Kind(lambda: [0], read_any, change)


KINDS = {
    "message in a bag": Kind(_serialized, _read_serialized, _change_serialized, share=2.0),
    "live pose": _live(_read_pose),
    "live NavSatFix": _live(_read_fix),
    "live CameraInfo": _live(_read_info),
    "live odometry": _live(_read_odometry, count=30),
}
