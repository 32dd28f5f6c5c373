import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from progeo_core.poses.camera_pose import CameraPose, quaternion_of
from progeo_core.verification.bundle_adjustment import Observations, adjust
from test.known_views import camera, make_scene

VIEWS = 8


def shaken(view, random):
    """Return a view whose pose is wrong by 1 cm and a quarter of a degree."""
    turn = Rotation.from_rotvec(random.normal(scale=0.0025, size=3)).as_matrix() @ view.rotation
    position = view.pose.position + random.normal(scale=0.01, size=3)
    return view._replace(pose=CameraPose(position, quaternion_of(turn)), rotation=turn)


@pytest.fixture
def bundle():
    """Return true views, and the observations of all points by all of them."""
    scene = make_scene(120)
    views = [
        camera(scene, [0.3 * row, 0.1 * (row % 3), 0.2 * row], 2, 0.3, row) for row in range(VIEWS)
    ]
    count = len(scene.points)
    rays = np.concatenate([view.rays for view in views])
    rows = np.repeat(np.arange(VIEWS), count), np.tile(np.arange(count), VIEWS)
    return scene, views, Observations(*rows, rays)


def reprojection_px(views, scene, seen):
    """Return how far (pixels) the true points are from where views see them, once aligned."""
    errors = []
    for row, view in enumerate(views):
        inside = view.pose.to_camera(scene.points)
        error = inside[:, :2] / inside[:, 2:] - seen.rays[seen.view == row]
        errors.append(np.linalg.norm(error / view.pixel, axis=1))
    return float(np.median(errors))


def relative_errors(views, truth):
    """Return how wrong (m) the positions are in the frame of the first camera."""

    def local(all_views):
        return np.stack([all_views[0].pose.to_camera(one.pose.position)[0] for one in all_views])

    return np.linalg.norm(local(views) - local(truth), axis=1)[1:]


def test_poses_move_to_where_the_images_agree(bundle):
    scene, truth, seen = bundle
    random = np.random.default_rng(1)
    given = [shaken(view, random) for view in truth]
    points = scene.points + random.normal(scale=0.1, size=scene.points.shape)
    found = adjust(given, points, seen)
    assert relative_errors(found, truth).mean() < 0.4 * relative_errors(given, truth).mean()
    for before, after in zip(given, found, strict=True):
        assert np.linalg.norm(after.pose.position - before.pose.position) < 0.05
        np.testing.assert_allclose(after.pose.rotation, after.rotation, atol=1e-9)


def test_right_poses_stay_and_wrong_matches_count_little(bundle):
    scene, truth, seen = bundle
    wrong = seen.rays.copy()
    wrong[::17] += 0.2
    found = adjust(truth, scene.points, seen._replace(rays=wrong))
    assert reprojection_px(found, scene, seen) < 1.0
    assert relative_errors(found, truth).max() < 0.02
