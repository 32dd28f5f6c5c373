"""What one answer corrects: weighed against odometry, bounded, and covered by the covariance."""

import math

import numpy as np
import pytest

from progeo_core.localization.pose_correction import (
    approach,
    clipped_turn,
    contradiction,
    corrected,
    expected_anywhere,
    expected_by_odometry,
    first_belief,
)
from progeo_core.poses.pose_estimate import PoseEstimate
from progeo_core.poses.transform import level_quaternion

BELIEF = np.diag([0.25, 0.25, 0.04])
STEP = np.array([1.0, 0.0, 0.0])


def estimate(x: float, y: float, yaw: float, **fields) -> PoseEstimate:
    covariance = np.diag([0.25, 0.25, 0.25, 1e6, 1e6, 0.04])
    return PoseEstimate(np.array([x, y, 0.0]), yaw, covariance, 0.95, **fields)


def test_an_answer_aside_corrects_the_yaw_of_a_robot_that_moved() -> None:
    expected = expected_by_odometry(np.array([1.0, 0.0, 0.0]), 0.0, BELIEF, STEP, 10.0)
    pose = corrected(expected, estimate(1.0, 0.5, 0.0))
    assert 0.0 < pose.estimate.yaw_rad < 0.3
    assert 0.0 < pose.estimate.position[1] < 0.5
    assert (np.linalg.eigvalsh(pose.belief) > 0.0).all()
    assert expected.belief is not None
    assert (np.diag(pose.belief) < np.diag(expected.belief)).all()


def test_a_full_orientation_turns_with_the_yaw_and_keeps_its_tilt() -> None:
    expected = expected_by_odometry(np.zeros(3), 0.0, BELIEF, np.zeros(3), 0.1)
    given = estimate(0.0, 0.0, 0.5, orientation=level_quaternion(0.5))
    pose = corrected(expected, given).estimate
    assert pose.yaw_rad == pytest.approx(0.05)  # 0.5 rad per second
    assert pose.orientation == pytest.approx(level_quaternion(0.05))
    assert pose.covariance[5, 5] == pytest.approx(0.04 + 0.45**2)


def test_without_a_yaw_of_the_answer_that_of_odometry_goes_on() -> None:
    expected = expected_by_odometry(np.zeros(3), 1.0, BELIEF, np.zeros(3), 1.0)
    unknown = estimate(0.1, 0.0, math.nan)
    unknown.covariance[5, 5] = 1e6
    assert corrected(expected, unknown).estimate.yaw_rad == pytest.approx(1.0)
    nothing_known = expected_anywhere(np.zeros(3), 1.0, 1.0)
    assert math.isnan(corrected(nothing_known, unknown).estimate.yaw_rad)
    assert first_belief(unknown)[2, 2] == 1e6


def test_what_motion_and_covariance_explain_is_no_contradiction() -> None:
    covariance = 0.25 * np.eye(3)
    anywhere = expected_anywhere(np.zeros(3), 3.0, 2.0)
    # 2 s at 3 + 1 m/s, and three deviations of two poses with 0.5 m each.
    assert contradiction(anywhere, estimate(10.0, 0.0, 0.0), covariance) is None
    assert contradiction(anywhere, estimate(10.2, 0.0, 0.0), covariance) == pytest.approx(10.2)
    there = expected_by_odometry(np.zeros(3), 0.0, BELIEF, np.zeros(3), 2.0)
    assert contradiction(there, estimate(2.0, 0.0, 0.0), covariance) is None
    assert contradiction(there, estimate(3.0, 0.0, 0.0), covariance) == pytest.approx(3.0)
    assert contradiction(there, estimate(0.1, 0.0, math.pi), covariance) == pytest.approx(0.1)


def test_the_shorter_way_round_is_taken() -> None:
    assert clipped_turn(2.0 * math.pi - 0.1, 1.0) == pytest.approx(-0.1)
    now = approach(np.array([0.0, 0.0, 0.0, 3.1]), np.array([3.0, 4.0, 0.0, -3.1]), 0.1)
    assert now[:3] == pytest.approx([0.06, 0.08, 0.0])
    assert now[3] == pytest.approx(3.15)
