from typing import Any

import numpy as np
import pytest

from progeo_core.map.place_map import PlaceMap
from progeo_core.verification.feature_tracks import direct_tracks
from progeo_core.verification.known_view import known_view
from progeo_core.verification.triangulation import triangulate
from test.known_views import Scene, camera, make_scene, moved

BASE = [([0.5, 0.0, 0.0], 5.0), ([-0.6, 0.1, 0.2], -5.0), ([1.0, -0.1, 0.3], 8.0)]


@pytest.fixture(scope="module")
def scene():
    return make_scene()


def triangulated(view, others):
    return triangulate(view, others, direct_tracks(view, others))


def test_points_come_back_within_their_deviation(scene):
    view = camera(scene, [0.0, 0.0, 0.0], 0.0, 0.5)
    others = [camera(scene, at, turn, 0.5, row + 1) for row, (at, turn) in enumerate(BASE)]
    found = triangulated(view, others)
    known = np.isfinite(found.landmarks).all(axis=1)
    assert known.mean() > 0.9
    error = np.linalg.norm(found.landmarks - scene.points, axis=1)[known]
    assert np.median(error) < 0.06
    assert (error < 3.0 * found.sigma_m[known]).mean() > 0.97
    assert np.isnan(found.sigma_m[~known]).all()
    assert found.agree[:, known].mean() > 0.9
    assert not found.agree[:, ~known].any()


@pytest.mark.parametrize("others", [[], BASE[:1]])
def test_fewer_than_three_views_are_too_few(scene, others):
    view = camera(scene, [0.0, 0.0, 0.0])
    found = triangulated(view, [camera(scene, *other) for other in others])
    assert np.isnan(found.landmarks).all()


def test_a_turn_without_parallax_gives_nothing(scene):
    view = camera(scene, [0.0, 0.0, 0.0], 0.0, 0.5)
    turned = [camera(scene, [0.02 * row, 0.0, 0.0], 3.0 * row, 0.5, row) for row in (1, 2, 3, 4)]
    assert np.isnan(triangulated(view, turned).landmarks).all()


def test_one_neighbor_with_a_wrong_pose_changes_nothing(scene):
    view = camera(scene, [0.0, 0.0, 0.0], 0.0, 0.3)
    others = [camera(scene, at, turn, 0.3, row + 1) for row, (at, turn) in enumerate(BASE)]
    lost = moved(others[0], [3.0, 4.0, 0.0])
    wanted, found = triangulated(view, others[1:]), triangulated(view, [lost, *others[1:]])
    assert not found.agree[0].any()
    np.testing.assert_allclose(found.landmarks, wanted.landmarks, atol=1e-6)


@pytest.mark.parametrize("offset", [[0.0, 5.0, 0.0], [5.0, 0.0, 0.0], [0.0, 0.0, -5.0]])
def test_a_view_with_a_wrong_pose_has_no_landmarks(scene, offset):
    view = moved(camera(scene, [0.0, 0.0, 0.0], 0.0, 0.3), offset)
    others = [camera(scene, at, turn, 0.3, row + 1) for row, (at, turn) in enumerate(BASE)]
    assert np.isfinite(triangulated(view, others).landmarks).all(axis=1).mean() == 0.0


def test_points_at_infinity_and_moving_along_are_none(scene):
    far = Scene(scene.points * 1000.0, scene.descriptors)
    view, *others = (camera(far, [0.3 * row, 0.0, 0.0], 0.0, 0.3, row) for row in range(5))
    assert np.isnan(triangulated(view, others).landmarks).all()


def test_the_office_comes_back_as_depth_shows_it(office_map):
    with PlaceMap.open(office_map) as place_map:
        views: list[Any] = place_map.views(place_map.ids()[4:])
    known = [known_view(view) for view in views]
    found = triangulated(known[5], known[:5] + known[6:])
    truth = views[5].features.landmarks
    both = np.isfinite(found.landmarks).all(axis=1) & np.isfinite(truth).all(axis=1)
    assert both.sum() > 60
    distance = np.linalg.norm(truth - views[5].pose.position, axis=1)
    error = np.linalg.norm(found.landmarks - truth, axis=1) / distance
    assert np.median(error[both]) < 0.06
