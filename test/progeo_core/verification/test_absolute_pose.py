import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from progeo_core.poses.camera_pose import CameraPose
from progeo_core.verification.absolute_pose import FINAL_ERROR_PX, MIN_INLIERS, absolute_pose

PIXEL = 1.0 / 500.0


def scene(random, count, wrong=0, noise=PIXEL):
    """Return a pose, rays with noise and landmarks far from the origin; the first are wrong."""
    pose = CameraPose(
        np.array([4.1e5, -3.2e5, 80.0]) + random.normal(0.0, 1.0, 3),
        Rotation.random(rng=random).as_quat(),
    )
    seen = np.column_stack(
        [random.uniform(-2.0, 2.0, count), random.uniform(-1.0, 1.0, count), np.ones(count)]
    )
    seen[:, 2] = random.uniform(3.0, 8.0, count)
    rays = seen[:, :2] / seen[:, 2:] + random.normal(0.0, noise, (count, 2))
    rays[:wrong] = random.uniform(-0.5, 0.5, (wrong, 2))
    return pose, rays, pose.to_map(seen)


def test_a_third_of_wrong_pairs_does_not_move_the_pose():
    pose, rays, landmarks = scene(np.random.default_rng(0), 150, wrong=50)
    found = absolute_pose(rays, landmarks, FINAL_ERROR_PX)
    assert found is not None
    assert np.linalg.norm(found.pose.position - pose.position) < 0.02
    turn = Rotation.from_matrix(found.pose.rotation.T @ pose.rotation).magnitude()
    assert turn < np.radians(0.3)
    assert found.inliers[50:].mean() > 0.9
    assert found.inliers[:50].mean() < 0.2


@pytest.mark.parametrize("off_m", [0.03, 2.0])
def test_a_pose_to_begin_with_need_not_be_right(off_m):
    pose, rays, landmarks = scene(np.random.default_rng(4), 150, wrong=50)
    expected = pose._replace(position=pose.position + off_m)
    found = absolute_pose(rays, landmarks, FINAL_ERROR_PX, expected)
    assert found is not None
    assert np.linalg.norm(found.pose.position - pose.position) < 0.02
    assert found.inliers[50:].mean() > 0.9


def test_errors_spread_as_the_covariance_says():
    random = np.random.default_rng(1)
    ratios = []
    for _ in range(60):
        pose, rays, landmarks = scene(random, 80)
        found = absolute_pose(rays, landmarks, FINAL_ERROR_PX)
        turn = Rotation.from_matrix(pose.rotation @ found.pose.rotation.T).as_rotvec()
        error = np.concatenate([pose.position - found.pose.position, turn])
        ratios.append(error @ np.linalg.solve(found.covariance, error) / 6.0)
    # Independent noise is the best case: landmarks of a real map share errors, which the stated
    # covariance allows for.
    assert 0.01 < np.mean(ratios) < 1.0
    # The axes are not mixed up: each error is small against its own deviation.
    assert np.max(ratios) < 3.0


@pytest.mark.parametrize("count", [0, 3, MIN_INLIERS - 1])
def test_few_pairs_have_no_pose(count):
    _, rays, landmarks = scene(np.random.default_rng(2), count) if count else (0, [], [])
    assert absolute_pose(np.reshape(rays, (-1, 2)), np.reshape(landmarks, (-1, 3)), 3.0) is None


def test_pairs_without_a_common_pose_have_none():
    random = np.random.default_rng(3)
    rays, landmarks = random.uniform(-0.5, 0.5, (60, 2)), random.uniform(-5.0, 5.0, (60, 3))
    assert absolute_pose(rays, landmarks, FINAL_ERROR_PX) is None


def test_landmarks_on_one_line_leave_the_pose_open():
    steps = np.linspace(3.0, 9.0, 40)
    landmarks = np.column_stack([0.2 * steps, 0.1 * steps + 0.3, steps])
    assert absolute_pose(landmarks[:, :2] / landmarks[:, 2:], landmarks, 3.0) is None
