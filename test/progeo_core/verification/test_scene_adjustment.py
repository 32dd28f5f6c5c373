import numpy as np
from scipy.spatial.transform import Rotation

from progeo_core.verification.bundle_adjustment import Observations
from progeo_core.verification.scene_adjustment import Scene, adjust_scene, aligned
from test.rough_scene import PIXEL, VIEWS, cameras

POSES = cameras()
TRUE = np.stack([pose.rotation for pose in POSES])
POSITION = np.stack([pose.position for pose in POSES])


def seen(count: int) -> Observations:
    points = np.random.default_rng(2).uniform(-1.5, 1.5, (count, 3))
    inside = [pose.to_camera(points) for pose in POSES]
    rays = np.concatenate([one[:, :2] / one[:, 2:] for one in inside])
    return Observations(np.repeat(np.arange(VIEWS), count), np.tile(np.arange(count), VIEWS), rays)


def test_cameras_that_are_off_by_degrees_come_back() -> None:
    random = np.random.default_rng(0)
    off = Rotation.from_rotvec(random.normal(0.0, np.radians(2.0), (VIEWS, 3))).as_matrix()
    rough = POSITION + random.normal(0.0, 0.1, POSITION.shape)
    start = Scene(rough, off @ TRUE, 0.1, np.zeros(VIEWS, np.int64))
    found = adjust_scene(start, rough, seen(40), np.full(VIEWS, PIXEL))
    assert found is not None
    assert (found.seen == 40).all()
    assert np.linalg.norm(found.position - POSITION, axis=1).max() < 0.1
    turn = Rotation.from_matrix(found.rotation.transpose(0, 2, 1) @ TRUE).magnitude()
    assert turn.max() < np.radians(1.0)
    assert 0.05 < found.sigma_m < 0.2


def test_without_points_there_is_no_scene() -> None:
    # Two views of each point do not make one.
    few = seen(5)
    two = Observations(few.view[:10], few.point[:10], few.rays[:10])
    start = Scene(POSITION, TRUE, 0.1, np.zeros(VIEWS, np.int64))
    assert adjust_scene(start, POSITION, two, np.full(VIEWS, PIXEL)) is None


def test_a_scene_is_moved_scaled_and_turned_about_the_vertical() -> None:
    turn = Rotation.from_euler("z", 2.0).as_matrix()
    moved = 0.5 * POSITION @ turn.T + [3.0, -1.0, 0.5]
    position, rotation = aligned(moved, turn @ TRUE, POSITION, 10.0)
    np.testing.assert_allclose(position, POSITION, atol=1e-6)
    np.testing.assert_allclose(rotation, TRUE, atol=1e-6)
