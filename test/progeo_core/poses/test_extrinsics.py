import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from progeo_core.errors import UsageError
from progeo_core.poses.camera_pose import CameraPose, rotation_of
from progeo_core.poses.extrinsics import Extrinsics
from progeo_core.poses.transform import IDENTITY

# Looks ahead, and 20° down, from 0.3 m in front of the base and 0.8 m above it.
AHEAD = Rotation.from_quat([-0.5, 0.5, -0.5, 0.5])
TILTED = Rotation.from_euler("y", 20, degrees=True) * AHEAD
MOUNT = Extrinsics(np.array([0.3, -0.1, 0.8]), TILTED.as_quat())
# Where the robot is, and how it is turned.
POSITION = np.array([12.0, -7.0, 0.5])
TURN = Rotation.from_euler("xyz", [3.0, -4.0, 130.0], degrees=True)


def test_a_camera_that_looks_ahead() -> None:
    mount = Extrinsics.from_text("0.2 0 0.5 -0.5 0.5 -0.5 0.5")
    camera = mount.camera_pose(np.array([1.0, 2.0, 0.0]), IDENTITY.orientation)
    np.testing.assert_allclose(camera.position, [1.2, 2.0, 0.5])
    # Its z is the robot's x, its x the robot's right.
    np.testing.assert_allclose(camera.rotation[:, 2], [1.0, 0.0, 0.0], atol=1e-12)
    np.testing.assert_allclose(camera.rotation[:, 0], [0.0, -1.0, 0.0], atol=1e-12)
    assert camera.yaw_rad == pytest.approx(0.0)


def test_the_base_is_where_its_camera_came_from() -> None:
    camera = MOUNT.camera_pose(POSITION, TURN.as_quat())
    estimate = MOUNT.base_estimate(camera, np.eye(6), 0.99)
    np.testing.assert_allclose(estimate.position, POSITION, atol=1e-12)
    assert estimate.orientation is not None
    np.testing.assert_allclose(rotation_of(estimate.orientation), TURN.as_matrix(), atol=1e-12)
    assert estimate.yaw_rad == pytest.approx(np.radians(130.0))
    assert estimate.confidence == 0.99


@pytest.mark.slow
def test_the_covariance_is_that_of_poses_that_were_carried_over() -> None:
    rng = np.random.default_rng(3)
    factor = rng.normal(size=(6, 6)) * ([0.02] * 3 + [0.004] * 3)
    covariance = factor.T @ factor
    camera = MOUNT.camera_pose(POSITION, TURN.as_quat())
    stated = MOUNT.base_estimate(camera, covariance, 1.0).covariance
    errors = rng.multivariate_normal(np.zeros(6), covariance, 3000)
    turned = Rotation.from_rotvec(errors[:, 3:]) * Rotation.from_quat(camera.orientation)
    found = np.empty((len(errors), 6))
    for row, (shift, quaternion) in enumerate(zip(errors[:, :3], turned.as_quat(), strict=True)):
        moved = CameraPose(camera.position + shift, quaternion)
        base = MOUNT.base_estimate(moved, covariance, 1.0)
        turn = Rotation.from_quat(base.orientation) * TURN.inv()
        found[row] = [*(base.position - POSITION), *turn.as_rotvec()]
    scale = np.sqrt(np.outer(np.diag(stated), np.diag(stated)))
    np.testing.assert_allclose(np.cov(found.T) / scale, stated / scale, atol=0.08)


def test_a_turn_moves_the_base_at_the_end_of_its_lever() -> None:
    # Only the yaw is uncertain, and the base is 0.3 m behind the camera.
    mount = Extrinsics(np.array([0.3, 0.0, 0.0]), AHEAD.as_quat())
    camera = mount.camera_pose(np.zeros(3), IDENTITY.orientation)
    covariance = np.diag([0.0, 0.0, 0.0, 0.0, 0.0, 0.01])
    stated = mount.base_estimate(camera, covariance, 1.0).covariance
    assert stated[1, 1] == pytest.approx(0.3**2 * 0.01)
    assert stated[1, 5] == pytest.approx(-0.3 * 0.01)
    assert stated[0, 0] == pytest.approx(0.0)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "seven numbers"),
        ("1 2 3", "seven numbers"),
        ("0 0 0 one 0 0 1", "seven numbers"),
        ("0 0 0 0 0 0 nan", "seven numbers"),
        ("0 0 0 0 0 0 0", "length 0, not 1"),
        ("0 0 0 -90 0 -90 0", "length 127.279, not 1"),
        ("camera\n\x1b[31m" * 100, r"^'camera\\n\\x1b[^\n]{,250}' is not"),
        ("200 0 500 -0.5 0.5 -0.5 0.5", "100 m away"),
    ],
)
def test_what_is_no_mount_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        Extrinsics.from_text(text)
