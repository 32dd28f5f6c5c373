"""Odometry of the drives that constants are fitted to: none, a true one, and one that drifts."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from enum import Enum

import numpy as np
from localization_scenes import Pass

from progeo_core.geo import FloatArray, wrap_angle
from progeo_core.poses.pose_buffer import PoseBuffer

_SECOND_NS = 10**9
# Worn tyres tell every way longer by the first share, and slip adds the second, at random.
_SCALE, _SLIP = 1.03, 0.05
# The yaw drifts by so much (rad) per root metre.
_YAW_DRIFT = 0.03


class Odometry(Enum):
    """Odometry that a robot has: none, one that drifts as that of wheels does, or a true one."""

    NONE = ""
    DRIFTING = "drifting odometry"
    TRUE = "true odometry"

    def of_clip(self, clip: Pass, seconds: Iterable[range]) -> PoseBuffer:
        """Return the odometry of a drive; seconds: at which each of its images was taken.

        Being carried off is no motion of the wheels.
        """
        buffer = PoseBuffer()
        if self is Odometry.NONE:
            return buffer
        steps, turns = _steps(clip)
        if self is Odometry.DRIFTING:
            rng = np.random.default_rng(0)
            length = np.linalg.norm(steps, axis=1)
            steps *= _SCALE + _SLIP * rng.standard_normal((len(steps), 1))
            turns += _YAW_DRIFT * np.sqrt(length) * rng.standard_normal(len(turns))
        for images, position, yaw in zip(seconds, steps.cumsum(0), turns.cumsum(), strict=True):
            for second in images:
                buffer.add(second * _SECOND_NS, position, float(wrap_angle(yaw)))
        return buffer


def ways(one: Pass) -> FloatArray:
    """Return the way [n, 2] (m) that was driven past each image, 0 where the robot stood."""
    found = []
    for _, rows in itertools.groupby(range(len(one.clip)), one.clip.__getitem__):
        way = _steps(one.select(list(rows)))[0][:, :2]
        way[:-1] += way[1:]
        found.append(way)
    return np.concatenate(found)


def _steps(clip: Pass) -> tuple[FloatArray, FloatArray]:
    """Return the steps [n, 3] (m) to each image and the turns [n] (rad), 0 to the first."""
    steps = np.diff(clip.position, axis=0, prepend=clip.position[:1])
    steps[clip.lead : clip.lead + 1] = 0.0
    # Where the images have no direction, it is that of the last step.
    moved = np.flatnonzero(np.linalg.norm(steps, axis=1) > 0.0)
    last = np.searchsorted(moved, np.arange(len(steps)), side="right") - 1
    ahead = steps[moved[np.maximum(last, 0)]] if moved.size else steps
    yaw = np.where(np.isnan(clip.yaw_rad), np.arctan2(ahead[:, 1], ahead[:, 0]), clip.yaw_rad)
    turns = wrap_angle(np.diff(yaw, prepend=yaw[:1]))
    turns[clip.lead : clip.lead + 1] = 0.0
    return steps, turns
