import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from progeo_core.poses.camera_pose import (
    CameraPose,
    interpolate,
    quaternion_of,
    rotation_of,
    yaw_of,
)

# Optical axes of level cameras that look along x, along y, and straight down.
ALONG_X = quaternion_of(np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]]))
ALONG_Y = quaternion_of(np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]]))
DOWN = quaternion_of(np.array([[1.0, 0.0, 0.0], [0.0, -1.0, 0.0], [0.0, 0.0, -1.0]]))
UNKNOWN = np.full(4, np.nan)


def test_points_ahead_of_a_camera_are_ahead_of_it_in_the_map() -> None:
    pose = CameraPose(np.array([1.0, 2.0, 3.0]), ALONG_Y)
    # Two metres ahead, half a metre to the right, a metre up.
    points = pose.to_map([[0.5, -1.0, 2.0]])
    assert points == pytest.approx(np.array([[1.5, 4.0, 4.0]]))
    assert pose.to_camera(points) == pytest.approx(np.array([[0.5, -1.0, 2.0]]))


def test_yaw_is_the_direction_of_the_optical_axis() -> None:
    assert CameraPose(np.zeros(3), ALONG_X).yaw_rad == pytest.approx(0.0)
    assert CameraPose(np.zeros(3), ALONG_Y).yaw_rad == pytest.approx(np.pi / 2.0)
    assert np.isnan(yaw_of([DOWN, UNKNOWN])).all()


def test_matrices_and_quaternions_are_inverse_whatever_the_length() -> None:
    quaternions = Rotation.random(20, random_state=1).as_quat()
    for quaternion, matrix in zip(quaternions, rotation_of(3.0 * quaternions), strict=True):
        assert abs(quaternion_of(matrix) @ quaternion) == pytest.approx(1.0)
    assert np.isnan(rotation_of([np.zeros(4), UNKNOWN])).all()
    extreme = [np.full(4, size) for size in (1e-320, 1e-160, 1e160, 1e308, np.inf)]
    assert np.isnan(rotation_of(extreme)).all()
    assert rotation_of(ALONG_X).shape == (3, 3)
    assert rotation_of(np.zeros((0, 4))).shape == (0, 3, 3)


def test_orientation_is_interpolated_along_the_shorter_arc() -> None:
    halfway = interpolate([ALONG_X, ALONG_X, UNKNOWN], [-ALONG_Y, UNKNOWN, ALONG_Y], [0.5] * 3)
    assert yaw_of(halfway[0]) == pytest.approx(np.pi / 4.0)
    assert np.isnan(halfway[1:]).all()
    assert interpolate([ALONG_X], [ALONG_Y], [0.0]) == pytest.approx(ALONG_X[np.newaxis])
