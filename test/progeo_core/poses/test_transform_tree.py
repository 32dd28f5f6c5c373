import math

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from progeo_core.poses.transform import FrameTree, Transform
from progeo_core.poses.transform_tree import TransformTree

S = 1_000_000_000
CAMERA = Transform(np.array([0.2, 0.0, 0.5]), np.array([-0.5, 0.5, -0.5, 0.5]))


def planar(x: float, y: float, yaw: float) -> Transform:
    turn = np.array([0.0, 0.0, math.sin(yaw / 2), math.cos(yaw / 2)])
    return Transform(np.array([x, y, 0.0]), turn)


@pytest.fixture
def slam() -> TransformTree:
    """Return what SLAM and odometry publish: map → odom at 1 Hz, odom → base at 10 Hz."""
    fixed = FrameTree()
    fixed.add("base_link", "camera", CAMERA)
    tree = TransformTree(fixed)
    for tenth in range(1, 41):
        if tenth % 10 == 1:
            tree.add(tenth * S // 10, "map", "odom", planar(5.0, tenth / 10, math.pi / 2))
        tree.add(tenth * S // 10, "odom", "base_link", planar(tenth / 10, 0.0, 0.0))
    return tree


def test_poses_are_those_of_the_whole_chain_at_the_stamps_of_the_odometry(slam) -> None:
    stamps = slam.stamps("base_link", "map")
    # The correction is known until 3.1 s, and is interpolated.
    np.testing.assert_array_equal(stamps, np.arange(1, 32) * S // 10)
    poses = slam.at(stamps, "base_link", "map")
    seconds = stamps / S
    expected = np.stack([np.full(31, 5.0), 2 * seconds, np.zeros(31)], 1)
    np.testing.assert_allclose(poses.position, expected, atol=1e-9)
    np.testing.assert_allclose(poses.heading_rad, math.pi / 2)
    assert slam.stamps("base_link", "map", 2 * S)[0] == 2_100_000_000


def test_a_camera_and_the_way_back_are_composed_as_well(slam) -> None:
    at = np.array([2 * S])
    camera = slam.at(at, "camera", "map")
    np.testing.assert_allclose(camera.position, [[5.0, 4.2, 0.5]], atol=1e-9)
    optical_axis = Rotation.from_quat(camera.orientation).apply([0, 0, 1])
    np.testing.assert_allclose(optical_axis, [[0, 1, 0]], atol=1e-9)
    back = slam.at(at, "map", "camera")
    both = camera.then(back)
    np.testing.assert_allclose(both.position, [[0, 0, 0]], atol=1e-9)
    np.testing.assert_allclose(np.abs(both.orientation[0, 3]), 1.0)


def test_nothing_is_made_up_across_a_gap_or_outside(slam) -> None:
    slam.add(9 * S, "map", "odom", planar(0, 0, 0))
    slam.add(9 * S, "odom", "base_link", planar(0, 0, 0))
    poses = slam.at(np.array([S // 20, S, 6 * S, 9 * S, 10 * S]), "base_link", "map")
    assert np.isfinite(poses.position[:, 0]).tolist() == [False, True, False, True, False]
    assert np.isfinite(poses.orientation[:, 0]).tolist() == [False, True, False, True, False]


def test_frames_that_nothing_connects_have_no_pose(slam) -> None:
    assert slam.at(np.array([S]), "base_link", "earth") is None
    assert not len(slam.stamps("base_link", "earth"))
    assert not slam.add(5 * S, "a", "a", planar(0, 0, 0))
    assert not slam.add(0, "a", "b", planar(0, 0, 0))
    assert not slam.add(S, "a", "b", planar(math.nan, 0, 0))


def test_time_that_restarts_and_what_is_forgotten(slam) -> None:
    slam.forget_before(2 * S + 1)
    assert slam.stamps("base_link", "map")[0] == 2 * S
    # 20 ms late is disorder, 2 s are another run.
    slam.add(4 * S - 20_000_000, "odom", "base_link", planar(9, 9, 0))
    assert slam.at(np.array([3 * S]), "base_link", "odom").position[0, 0] == 3.0
    slam.add(S, "map", "odom", planar(0, 0, 0))
    slam.add(S, "odom", "base_link", planar(7, 0, 0))
    assert slam.stamps("base_link", "map").tolist() == [S]
