import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from progeo_core.map.place_map import PlaceMap
from progeo_core.poses.camera_pose import CameraPose, quaternion_of
from progeo_core.verification.triangulation import KnownView, known_view, triangulate
from test.place_views import make_view

PIXEL = 1.0 / 500.0


@pytest.fixture(scope="module")
def scene():
    """Return points in front of the origin, with a descriptor each."""
    random = np.random.default_rng(4)
    points = random.uniform([-3.0, -2.0, 4.0], [3.0, 2.0, 12.0], (200, 3))
    descriptors = random.normal(size=(200, 64)).astype(np.float32)
    return points, descriptors / np.linalg.norm(descriptors, axis=1, keepdims=True)


def camera(scene, position, turn_deg=0.0, noise_px=0.0, seed=0):
    """Return the view of a camera that sees every point."""
    points, descriptors = scene
    turn = Rotation.from_euler("y", turn_deg, degrees=True).as_matrix()
    pose = CameraPose(np.array(position, np.float64), quaternion_of(turn))
    inside = pose.to_camera(points)
    noise = np.random.default_rng(seed).normal(scale=noise_px * PIXEL, size=(len(points), 2))
    return KnownView(pose, pose.rotation, inside[:, :2] / inside[:, 2:] + noise, descriptors, PIXEL)


def moved(view, position):
    """Return a view that claims another position."""
    return view._replace(pose=CameraPose(np.array(position, np.float64), view.pose.orientation))


BASE = [([0.5, 0.0, 0.0], 5.0), ([-0.6, 0.1, 0.2], -5.0), ([1.0, -0.1, 0.3], 8.0)]


def test_points_come_back_within_their_deviation(scene):
    view = camera(scene, [0.0, 0.0, 0.0], 0.0, 0.5)
    others = [camera(scene, at, turn, 0.5, row + 1) for row, (at, turn) in enumerate(BASE)]
    found = triangulate(view, others)
    known = np.isfinite(found.landmarks).all(axis=1)
    assert known.mean() > 0.9
    error = np.linalg.norm(found.landmarks - scene[0], axis=1)[known]
    assert np.median(error) < 0.06
    assert (error < 3.0 * found.sigma_m[known]).mean() > 0.97
    assert np.isnan(found.sigma_m[~known]).all()
    assert (found.agreement > 0.95).all()


@pytest.mark.parametrize("others", [[], BASE[:1]])
def test_fewer_than_three_views_are_too_few(scene, others):
    view = camera(scene, [0.0, 0.0, 0.0])
    found = triangulate(view, [camera(scene, *other) for other in others])
    assert np.isnan(found.landmarks).all()


def test_a_turn_without_parallax_gives_nothing(scene):
    view = camera(scene, [0.0, 0.0, 0.0], 0.0, 0.5)
    turned = [camera(scene, [0.02 * row, 0.0, 0.0], 3.0 * row, 0.5, row) for row in (1, 2, 3, 4)]
    assert np.isnan(triangulate(view, turned).landmarks).all()


def test_one_neighbor_with_a_wrong_pose_changes_nothing(scene):
    view = camera(scene, [0.0, 0.0, 0.0], 0.0, 0.3)
    others = [camera(scene, at, turn, 0.3, row + 1) for row, (at, turn) in enumerate(BASE)]
    lost = moved(others[0], [3.0, 4.0, 0.0])
    wanted, found = triangulate(view, others[1:]), triangulate(view, [lost, *others[1:]])
    assert found.agreement[0] < 0.2
    np.testing.assert_allclose(found.landmarks, wanted.landmarks, atol=1e-6)


@pytest.mark.parametrize("offset", [[0.0, 5.0, 0.0], [5.0, 0.0, 0.0], [0.0, 0.0, -5.0]])
def test_a_view_with_a_wrong_pose_has_no_landmarks(scene, offset):
    view = moved(camera(scene, [0.0, 0.0, 0.0], 0.0, 0.3), offset)
    others = [camera(scene, at, turn, 0.3, row + 1) for row, (at, turn) in enumerate(BASE)]
    assert np.isfinite(triangulate(view, others).landmarks).all(axis=1).mean() < 0.02


def test_points_at_infinity_and_moving_along_are_none(scene):
    far = scene[0] * 1000.0, scene[1]
    view, *others = (camera(far, [0.3 * row, 0.0, 0.0], 0.0, 0.3, row) for row in range(5))
    assert np.isnan(triangulate(view, others).landmarks).all()


def test_the_office_comes_back_as_depth_shows_it(office_map):
    with PlaceMap.open(office_map) as place_map:
        views = place_map.views(place_map.ids()[4:])
    known = [known_view(view) for view in views]
    found = triangulate(known[5], known[:5] + known[6:])
    truth = views[5].features.landmarks
    both = np.isfinite(found.landmarks).all(axis=1) & np.isfinite(truth).all(axis=1)
    assert both.sum() > 60
    distance = np.linalg.norm(truth - views[5].pose.position, axis=1)
    error = np.linalg.norm(found.landmarks - truth, axis=1) / distance
    assert np.median(error[both]) < 0.06


def test_a_place_whose_camera_is_not_known_is_of_no_use():
    view = make_view(np.zeros(3))
    assert known_view(view) is not None
    for lacking in (
        view._replace(pose=None),
        view._replace(pose=view.pose._replace(orientation=np.full(4, np.nan))),
        view._replace(intrinsics=None),
        view._replace(features=None),
        view._replace(features=view.features._replace(size=(480, 480))),
    ):
        assert known_view(lacking) is None
