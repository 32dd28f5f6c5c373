"""The campus loop driven twice, closed by its real images: with the camera's calibration.

Plain is the same drive without the calibration. The odometry drifts at three noise levels, figures
are means of five seeds: the error (evo's ATE, m) of the straightened drive, and the median errors
of the closures themselves.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from progeo_core.geo import wrap_angle
from progeo_core.images.intrinsics import Intrinsics
from progeo_core.inference.loading import load_encoder
from progeo_core.poses.planar_pose import between
from progeo_core.slam.loop_closure import LoopClosure
from progeo_core.slam.pose_graph import LoopConstraint
from test.benchmarks.pose_graph_benchmark import (
    CAMPUS,
    SEEDS,
    why_skipped,  # noqa: F401  of this one, too
)
from test.benchmarks.row import Row
from test.campus_laps import CAMERA, Laps, close, read_laps
from test.drifting_drive import LEVELS, Poses, drifting, errors, graph_of, stamp

_PLANAR = np.ix_([0, 1, 5], [0, 1, 5])


def rows(folder: Path) -> Iterator[Row]:
    """Yield one row per noise level."""
    del folder
    laps = read_laps(CAMPUS, load_encoder(device="cpu"))
    for level in LEVELS:
        drives = [drifting(laps.truth, level, np.random.default_rng(seed)) for seed in SEEDS]
        ours = np.mean([measure(laps, odometry, CAMERA) for odometry in drives], axis=0)
        plain = np.mean([measure(laps, odometry, None) for odometry in drives], axis=0)
        also = {
            "odometry m": plain[1],
            "yaw rad": ours[2],
            "plain yaw rad": plain[2],
            "position m": ours[3],
            "plain position m": plain[3],
        }
        yield Row(f"{level} noise", "m", ours[0], plain[0], also=also)


def measure(laps: Laps, odometry: Poses, camera: Intrinsics | None) -> Poses:
    """Return [4]: ATE (m) of drive and odometry, median yaw (rad) and position (m) of loops."""
    graph, offset = graph_of(odometry), []
    for one in close(laps, odometry, camera):
        pose, covariance = one.relative.pose, one.relative.covariance[_PLANAR]
        graph.add_loop(LoopConstraint(one.match.stamp_ns, one.query.stamp_ns, pose, covariance))
        offset.append(pose - true_pose(laps, one))
    straightened = errors(graph, odometry, laps.truth)
    off = np.array(offset)
    yaw, position = np.abs(wrap_angle(off[:, 2])), np.linalg.norm(off[:, :2], axis=1)
    return np.array(
        [straightened.straightened, straightened.odometry, np.median(yaw), np.median(position)]
    )


def true_pose(laps: Laps, closure: LoopClosure) -> Poses:
    """Return where the query was, as seen from the match."""
    query, match = (end.stamp_ns // stamp(0) - 1 for end in (closure.query, closure.match))
    return between(laps.truth[match], laps.truth[query])
