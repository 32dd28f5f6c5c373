"""A loop driven twice with odometry that drifts, closures as noisy as they claim, and evo's ATE."""

from __future__ import annotations

import itertools
import math

import numpy as np
from numpy.typing import NDArray

from progeo_core.planar_pose import between, compose

Poses = NDArray[np.float64]

# Noise per step: share of its length ahead, share of it sideways and ahead, rad per root metre.
LEVELS = {"low": (0.01, 0.01, 0.005), "middle": (0.02, 0.02, 0.015), "high": (0.04, 0.04, 0.03)}
SIGMA = np.array([0.58, 0.58, 0.26])


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
