"""A loop driven twice with odometry that drifts, closures as noisy as they claim, and evo's ATE."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from progeo_core.poses.planar_pose import between, compose
from progeo_core.records.records import read_records
from progeo_core.slam.pose_graph import LoopConstraint, PoseGraph

Poses = NDArray[np.float64]

# Images of one lap.
LAP = 72

# Noise per step: share of its length ahead, share of it sideways and ahead, rad per root metre.
LEVELS = {"low": (0.01, 0.01, 0.005), "middle": (0.02, 0.02, 0.015), "high": (0.04, 0.04, 0.03)}
SIGMA = np.array([0.58, 0.58, 0.26])


class Errors(NamedTuple):
    """Hold the ATE (m) of the odometry, and of what the pose graph made of it."""

    odometry: float
    straightened: float

    @property
    def ratio(self) -> float:
        return self.odometry / self.straightened


def two_laps(campus_loop: Path) -> Poses:
    """Return the true poses [2 LAP, 3] of the campus loop driven twice."""
    records = read_records(campus_loop / "records.csv")
    lap = np.column_stack([records.position[:, :2], records.yaw_rad])
    return np.concatenate([lap, lap])


def stamp(row: int) -> int:
    return (row + 1) * 1_000_000_000


def drifting(truth: Poses, level: str, rng: np.random.Generator) -> Poses:
    """Return the odometry of a drive, from its own start."""
    scale, slip, turn = LEVELS[level]
    poses = [np.zeros(3)]
    for before, after in itertools.pairwise(truth):
        step = between(before, after)
        length = math.hypot(step[0], step[1])
        step[:2] = step[:2] * (1.0 + scale * rng.normal()) + slip * length * rng.normal(size=2)
        step[2] += turn * math.sqrt(length) * rng.normal()
        poses.append(compose(poses[-1], step))
    return np.array(poses)


def graph_of(odometry: Poses) -> PoseGraph:
    """Return a pose graph without closures."""
    graph = PoseGraph()
    for row, pose in enumerate(odometry):
        graph.add_odometry(stamp(row), pose)
    return graph


def loop(match: int, query: int, relative: Poses) -> LoopConstraint:
    return LoopConstraint(stamp(match), stamp(query), relative, np.diag(SIGMA**2))


def right_loops(truth: Poses, rng: np.random.Generator) -> list[LoopConstraint]:
    """Return closures of most images of the second lap, as noisy as they claim."""
    return [
        loop(row - LAP, row, between(truth[row - LAP], truth[row]) + rng.normal(size=3) * SIGMA / 2)
        for row in range(LAP, 2 * LAP)
        if rng.random() < 0.8
    ]


def wrong_loops(count: int, rng: np.random.Generator) -> list[LoopConstraint]:
    """Return single closures of any two images."""
    pairs = (np.sort(rng.choice(2 * LAP, 2, replace=False)).tolist() for _ in range(count))
    return [loop(match, query, rng.normal(size=3) * SIGMA) for match, query in pairs]


def look_alike_loops() -> list[LoopConstraint]:
    """Return wrong closures that agree with each other: a stretch that looks like an earlier one.

    It lies some 30 m farther on in the next lap, which is within what the odometry may be wrong by.
    """
    return [loop(10 + step, LAP + 20 + step, np.zeros(3)) for step in range(8)]


def errors(graph: PoseGraph, odometry: Poses, truth: Poses) -> Errors:
    """Straighten a drive and measure it."""
    straightened = graph.optimize()
    assert straightened is not None
    rows = np.searchsorted(straightened.stamp_ns, [stamp(row) for row in range(len(truth))])
    return Errors(ate(odometry, truth), ate(straightened.pose[rows], truth))


def ate(poses: Poses, truth: Poses) -> float:
    """Return the root mean square of the position error (m) after alignment, as evo_ape -a does."""
    from evo.core.metrics import APE, PoseRelation, StatisticsType
    from evo.core.trajectory import PoseTrajectory3D

    def trajectory(planar: Poses) -> PoseTrajectory3D:
        half, none = planar[:, 2] / 2.0, np.zeros(len(planar))
        return PoseTrajectory3D(
            positions_xyz=np.column_stack([planar[:, :2], none]),
            orientations_quat_wxyz=np.column_stack([np.cos(half), none, none, np.sin(half)]),
            timestamps=np.arange(len(planar), dtype=float),
        )

    reference, estimate = trajectory(truth), trajectory(poses)
    estimate.align(reference)
    metric = APE(PoseRelation.translation_part)
    metric.process_data((reference, estimate))
    return float(metric.get_statistic(StatisticsType.rmse))
