"""Correction of an expected pose by an answer: weighed by a Kalman filter, at a bounded rate."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from progeo_core.geo import FloatArray, wrap_angle
from progeo_core.poses.camera_pose import turned
from progeo_core.poses.pose_estimate import PoseEstimate

# Fastest correction: 0.1 m, and 0.05 rad, per 100 ms.
_MAX_RATE_MPS, _MAX_TURN_RATE_RADPS = 1.0, 0.5
# A longer time (s) between two poses does not allow a longer correction of what odometry says.
_LONGEST_S = 1.0
# Errors of odometry: a share of the path length, rad per metre; and m, rad per second, so that the
# filter never stops to learn.
_ODOMETRY_ERROR, _ODOMETRY_TURN_ERROR = 0.1, 0.03
_DRIFT_MPS, _DRIFT_RADPS = 0.1, 0.03
# Error of a speed that is not odometry's, as a share.
_SPEED_ERROR = 0.3
# What is farther off than this many standard deviations, and than these, is no mere correction.
_SIGMAS, _CORRECTION_M, _CORRECTION_RAD = 3.0, 2.0, 1.0
# x, y and yaw of a covariance.
_PLANAR = np.ix_([0, 1, 5], [0, 1, 5])


class Expected(NamedTuple):
    """Pose that motion leads to, and how far an answer may correct it.

    position: [3] m. yaw_rad: NaN unknown. belief: covariance of x, y, yaw [3, 3], as the filter has
    it; None where the motion is not known, so that there is nothing to weigh an answer against.
    reach_m: how far that motion may have led. limit_m, limit_rad: largest correction.
    """

    position: FloatArray
    yaw_rad: float
    belief: FloatArray | None
    reach_m: float
    limit_m: float
    limit_rad: float


class Corrected(NamedTuple):
    """Pose after a correction, and the filter's covariance of x, y, yaw [3, 3] then."""

    estimate: PoseEstimate
    belief: FloatArray


def first_belief(estimate: PoseEstimate) -> FloatArray:
    """Return the filter's covariance [3, 3] at a first answer."""
    return estimate.covariance[_PLANAR].copy()


def expected_by_odometry(
    position: FloatArray, yaw_rad: float, belief: FloatArray, step: FloatArray, elapsed_s: float
) -> Expected:
    """Return where odometry leads from a pose.

    position: [3] after the step. yaw_rad: after it, too. belief: [3, 3] before it. step: x, y, yaw
    [3] in the robot's frame then.
    """
    path_m = math.hypot(step[0], step[1])
    heading = yaw_rad - step[2]
    cos, sin = math.cos(heading), math.sin(heading)
    # An error of the yaw leads aside.
    moved = np.eye(3)
    moved[0, 2] = -(sin * step[0] + cos * step[1])
    moved[1, 2] = cos * step[0] - sin * step[1]
    drift = np.array([(_ODOMETRY_ERROR * path_m) ** 2 + _DRIFT_MPS**2 * elapsed_s] * 3)
    drift[2] = _ODOMETRY_TURN_ERROR**2 * path_m + _DRIFT_RADPS**2 * elapsed_s
    counted_s = min(elapsed_s, _LONGEST_S)
    return Expected(
        position,
        yaw_rad,
        moved @ belief @ moved.T + np.diag(drift),
        _ODOMETRY_ERROR * path_m,
        _MAX_RATE_MPS * counted_s,
        _MAX_TURN_RATE_RADPS * counted_s,
    )


def expected_anywhere(position: FloatArray, speed_mps: float, elapsed_s: float) -> Expected:
    """Return where a robot is that went from a position [3] at a speed, who knows in which way."""
    limit_m = (speed_mps + max(_MAX_RATE_MPS, _SPEED_ERROR * speed_mps)) * elapsed_s
    return Expected(position, math.nan, None, limit_m, limit_m, math.pi)


def contradiction(
    expected: Expected, estimate: PoseEstimate, covariance: FloatArray
) -> float | None:
    """Return how far (m) an answer is from the expected pose if that explains it not, else None.

    covariance: [3, 3] of the position before.
    """
    gap = (estimate.position - expected.position)[:2]
    apart_m = math.hypot(gap[0], gap[1])
    both = estimate.covariance[:2, :2] + covariance[:2, :2]
    sigma_m = math.sqrt(gap @ both @ gap) / max(apart_m, 1e-9)
    turn = float(np.nan_to_num(wrap_angle(estimate.yaw_rad - expected.yaw_rad)))
    turn_limit = max(_CORRECTION_RAD, _SIGMAS * math.sqrt(estimate.covariance[5, 5]))
    far = apart_m > max(expected.reach_m + _SIGMAS * sigma_m, _CORRECTION_M)
    return apart_m if far or abs(turn) > turn_limit else None


def corrected(expected: Expected, estimate: PoseEstimate) -> Corrected:
    """Return the expected pose after an answer; its covariance covers what is still to come in.

    That is the answer's covariance and the square of what it says beyond the pose.
    """
    gap = np.append(estimate.position, estimate.yaw_rad) - [*expected.position, expected.yaw_rad]
    turn = float(np.nan_to_num(wrap_angle(gap[3])))
    way, belief = gap[:3], first_belief(estimate)
    if expected.belief is not None:
        # An innovation of x, y and yaw; the height follows as the rest does on average.
        gain = expected.belief @ np.linalg.inv(expected.belief + belief)
        belief = expected.belief - gain @ expected.belief
        planar = gain @ [*gap[:2], turn]
        way, turn = np.append(planar[:2], gap[2] * np.trace(gain[:2, :2]) / 2.0), float(planar[2])
    position = expected.position + clipped(way, expected.limit_m)
    covariance = estimate.covariance.copy()
    left = estimate.position - position
    covariance[:3, :3] += np.outer(left, left)
    if not math.isfinite(expected.yaw_rad):
        return Corrected(estimate._replace(position=position, covariance=covariance), belief)
    yaw = float(wrap_angle(expected.yaw_rad + clipped_turn(turn, expected.limit_rad)))
    left_rad = float(np.nan_to_num(wrap_angle(estimate.yaw_rad - yaw)))
    covariance[5, 5] += left_rad**2
    orientation = estimate.orientation
    if orientation is not None:
        orientation = turned(orientation, [-left_rad])[0]
    return Corrected(
        PoseEstimate(position, yaw, covariance, estimate.confidence, orientation), belief
    )


def approach(now: FloatArray, target: FloatArray, elapsed_s: float) -> FloatArray:
    """Return a pose x, y, z, yaw [4] that goes to another one, as far as it may in a time (s)."""
    counted_s = min(max(elapsed_s, 0.0), _LONGEST_S)
    way = clipped(target[:3] - now[:3], _MAX_RATE_MPS * counted_s)
    turn = clipped_turn(target[3] - now[3], _MAX_TURN_RATE_RADPS * counted_s)
    return np.add(now, [*way, turn])


def clipped(step: FloatArray, limit_m: float) -> FloatArray:
    """Return a step [3] of at most a length."""
    length = float(np.linalg.norm(step))
    return step * min(1.0, limit_m / max(length, 1e-12))


def clipped_turn(angle_rad: float, limit_rad: float) -> float:
    """Return a turn, the shorter way round, of at most an angle."""
    return float(np.clip(wrap_angle(angle_rad), -limit_rad, limit_rad))
