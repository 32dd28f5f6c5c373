import math

import numpy as np
import pytest

from progeo_core.poses.pose_estimate import PoseEstimate
from progeo_core.verification.pose_refinement import refine_pose

PLACE = np.array([10.0, 0.0, 0.0])


def estimate(position=(12.0, 1.0, 0.0), yaw_rad=0.1, yaw_variance=0.26**2):
    covariance = np.diag([4.0, 4.0, 1.0, 1e6, 1e6, yaw_variance])
    return PoseEstimate(np.array(position), yaw_rad, covariance, 0.95)


def test_yaw_is_the_place_s_plus_the_turn_and_surer():
    refined = refine_pose(estimate(), PLACE, 0.2, 0.0, 2.0)
    assert refined.yaw_rad == pytest.approx(0.2)
    assert refined.covariance[5, 5] < 0.1**2
    assert refined.confidence == 0.95


def test_yaw_is_wrapped():
    turned = estimate(yaw_rad=math.pi - 0.05)
    refined = refine_pose(turned, PLACE, math.pi + 0.1, math.pi - 0.1, 2.0)
    assert refined.yaw_rad == pytest.approx(-math.pi + 0.1)


def test_position_moves_across_the_line_only():
    # The camera stood straight ahead of a place that looks east: north is known, east is not.
    refined = refine_pose(estimate(), PLACE, 0.0, 0.0, 2.0)
    assert refined.position[0] == pytest.approx(12.0)
    assert abs(refined.position[1]) < 0.1
    assert refined.covariance[0, 0] == pytest.approx(4.0)
    assert 0.0 < refined.covariance[1, 1] < 0.2
    assert np.linalg.eigvalsh(refined.covariance).min() > 0.0


def test_without_a_bearing_the_position_stays():
    given = estimate()
    refined = refine_pose(given, PLACE, 0.2, math.nan, 2.0)
    np.testing.assert_array_equal(refined.position, given.position)
    np.testing.assert_array_equal(refined.covariance[:5, :5], given.covariance[:5, :5])
    assert refined.yaw_rad == pytest.approx(0.2)


def test_given_estimate_stays_as_it_was():
    given = estimate()
    before = given.covariance.copy()
    refine_pose(given, PLACE, 0.2, 0.0, 2.0)
    np.testing.assert_array_equal(given.covariance, before)


@pytest.mark.parametrize("yaw", [math.nan, 2.0], ids=["yaw unknown", "contradiction"])
def test_view_that_cannot_be_right_changes_nothing(yaw):
    given = estimate()
    assert refine_pose(given, PLACE, yaw, 0.0, 2.0) is given


def test_line_far_from_the_estimate_changes_the_yaw_alone():
    given = estimate(position=(12.0, 9.0, 0.0))
    refined = refine_pose(given, PLACE, 0.1, 0.0, 2.0)
    np.testing.assert_array_equal(refined.position, given.position)
    assert refined.covariance[5, 5] < given.covariance[5, 5]


def test_unknown_yaw_of_the_estimate_becomes_known():
    given = estimate(yaw_rad=math.nan, yaw_variance=1e6)
    assert refine_pose(given, PLACE, 0.4, 0.3, 2.0).yaw_rad == pytest.approx(0.4)
