from typing import Any

import numpy as np
import pytest

from progeo_core.map.place_map import PlaceMap
from progeo_core.verification.known_view import KnownView, known_view
from progeo_core.verification.landmark_check import contradicted, rows_to_ask, sighting, sightings

SHIFT = np.array([5.0, 0.0, 0.0])


@pytest.fixture(scope="module")
def views(office_map):
    with PlaceMap.open(office_map) as place_map:
        return place_map.views(place_map.ids()[4:10])


def seen_by(view) -> KnownView:
    known = known_view(view)
    assert known is not None
    return known


def check(views, row, landmarks, others):
    known: dict[int, Any] = {n: known_view(views[n]) for n in (row, *others)}
    seen = sightings(known[row], landmarks, {n: known[n] for n in others})
    return contradicted(seen.values())


def test_landmarks_that_others_see_where_they_are_stand(views):
    for row, view in enumerate(views):
        others = [n for n in range(len(views)) if n != row]
        assert not check(views, row, view.features.landmarks, others)


def test_landmarks_of_a_place_that_was_moved_are_contradicted(views):
    assert check(views, 2, views[2].features.landmarks + SHIFT, [0, 1, 3, 4])


def test_one_other_place_is_no_majority(views):
    moved = views[2].features.landmarks + SHIFT
    assert not check(views, 2, moved, [1])
    assert not check(views, 2, moved, [])
    assert not check(views, 2, np.full(moved.shape, np.nan), [0, 1, 3, 4])


def test_a_sighting_tells_where_the_landmarks_see_the_other_camera(views):
    view, other = seen_by(views[2]), seen_by(views[3])
    right = sighting(view, views[2].features.landmarks, other)
    assert right.agreement > 0.9
    assert right.error_px < 6.0
    assert right.pose.position == pytest.approx(other.pose.position, abs=0.03)
    moved = sighting(view, views[2].features.landmarks + SHIFT, other)
    assert moved.given is other.pose
    assert moved.pose.position == pytest.approx(other.pose.position + SHIFT, abs=0.03)
    assert moved.error_px > 100.0
    assert moved.agreement < 0.1


def test_landmarks_of_no_shape_fit_no_pose(views):
    landmarks = np.random.default_rng(0).permutation(views[2].features.landmarks)
    seen = sighting(seen_by(views[2]), landmarks, seen_by(views[3]))
    assert seen.pose is None
    assert np.isnan(seen.error_px)
    few = np.where(np.arange(len(landmarks))[:, None] < 10, landmarks, np.nan)
    assert sighting(seen_by(views[2]), few, seen_by(views[3])) is None
    assert sightings(seen_by(views[2]), landmarks, {1: None}) == {}


def test_places_beside_one_are_asked_as_well_as_those_that_see_the_same():
    assert rows_to_ask(5, 9, np.array([1, 4])).tolist() == [1, 3, 4, 6, 7]
    assert rows_to_ask(0, 2, np.array([], np.int64)).tolist() == [1]
