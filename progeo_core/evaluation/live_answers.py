"""Answers of the real ROS 2 node to the images of a bag, from a process of its own."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from progeo_core.errors import MissingDependencyError, ProgeoError
from progeo_core.evaluation.replay import Replay, ReplayInput, replay_of
from progeo_core.geo import FloatArray, wgs84_from_enu
from progeo_core.localization.answer import Localization, Match
from progeo_core.localization.localizer_settings import LocalizerSettings
from progeo_core.poses.camera_pose import CameraPose
from progeo_core.poses.pose_estimate import PoseEstimate

if TYPE_CHECKING:
    from progeo_core.verification.metric_localizer import MetricPose

_NODE_MODULE = "progeo_ros.replay.live_replay"


def replay_live(
    source: ReplayInput,
    model: str,
    *,
    sequence: bool = LocalizerSettings.sequence,
    verification_ms: int = LocalizerSettings.verification_ms,
) -> Replay:
    """Play a bag to the real node in its own process, over DDS at the bag's pace.

    model: what made the map. sequence, verification_ms: as `LocalizerSettings` has them. Latency is
    the time from sending an image to receiving its answer. Raises `MissingDependencyError` without
    rclpy, and `ProgeoError` where the node fails; the node's own messages go to stderr.
    """
    if not has_ros():
        raise MissingDependencyError(
            "a live replay needs rclpy: source a ROS 2 distribution, or pip install"
            " 'progeo_ros[ros]'; or replay offline"
        )
    document = _played(source, model, sequence, verification_ms)
    row_of = {stamp: row for row, stamp in reversed(list(enumerate(source.stamp_ns.tolist())))}
    answers = sorted(
        (answer for answer in document["answers"] if answer["stamp_ns"] in row_of),
        key=lambda answer: row_of[answer["stamp_ns"]],
    )
    rows = [row_of[answer["stamp_ns"]] for answer in answers]
    latency_ms = [(answer["answered_ns"] - answer["sent_ns"]) * 1e-6 for answer in answers]
    localizations = [_localization(answer, source) for answer in answers]
    return replay_of(
        source,
        "live",
        rows,
        localizations,
        latency_ms,
        document["dropped_by"],
        follows=sequence,
        skipped=document["skipped"],
    )


def has_ros() -> bool:
    """Whether rclpy is installed, found without importing it."""
    return importlib.util.find_spec("rclpy") is not None


def _played(
    source: ReplayInput, model: str, sequence: bool, verification_ms: int
) -> dict[str, Any]:
    """Run the node and the player in a process of their own; return its answers.json."""
    with tempfile.TemporaryDirectory(prefix="progeo-replay-") as folder:
        out = Path(folder, "answers.json")
        command = [sys.executable, "-m", _NODE_MODULE, str(source.queries)]
        command += ["--map", str(source.map_path), "--image-topic", source.image_topic]
        command += ["--model", model, "--verification-ms", str(verification_ms)]
        if not sequence:
            command += ["--single"]
        if source.intrinsics is not None:
            command += ["--intrinsics", json.dumps(source.intrinsics.to_json())]
        command += ["--out", str(out)]
        done = subprocess.run(command, check=False)
        if done.returncode != 0:
            raise ProgeoError(
                f"{source.queries}: the live replay failed (exit code {done.returncode}); the lines"
                " above say why"
            )
        document: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
        return document


def _localization(answer: Mapping[str, Any], source: ReplayInput) -> Localization:
    """Return one answer of the node as the localizer would have given it, without descriptor."""
    position = np.array(answer["position"], np.float64)
    yaw_rad = np.nan if answer["yaw_rad"] is None else float(answer["yaw_rad"])
    covariance = np.array(answer["covariance"], np.float64).reshape(6, 6)
    rows = source.places.poses.rows_of(answer["place_ids"])
    geodetic = None
    if source.datum is not None:
        lat, lon, alt = wgs84_from_enu(position[None], source.datum)[0].tolist()
        geodetic = (lat, lon, alt)
    return Localization(
        stamp_ns=answer["stamp_ns"],
        camera=source.image_topic,
        estimate=PoseEstimate(position, yaw_rad, covariance, float(answer["confidence"])),
        geodetic=geodetic,
        accepted=bool(answer["accepted"]),
        state=answer["state"],
        reason=answer["reason"],
        matches=tuple(
            Match(
                place_id=int(source.places.ids[row]),
                similarity=float(similarity),
                position=source.places.position[row],
                yaw_rad=float(source.places.yaw_rad[row]),
                image=source.places.image[row],
            )
            for row, similarity in zip(rows, answer["similarities"], strict=True)
        ),
        descriptor=np.empty(0, np.float32),
        metric=_metric(answer, covariance),
    )


def _metric(answer: Mapping[str, Any], covariance: FloatArray) -> MetricPose | None:
    """Return the full pose of the camera in an answer of the node."""
    if answer["camera_pose"] is None:
        return None
    from progeo_core.verification.metric_localizer import MetricPose

    found = answer["camera_pose"]
    pose = CameraPose(np.array(found["position"]), np.array(found["orientation"]))
    return MetricPose(pose, covariance, answer["landmarks"], ())
