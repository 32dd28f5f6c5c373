import numpy as np
import pytest

from progeo_core.evaluation.map_view import look_alikes
from progeo_core.evaluation.map_view.look_alikes import find_look_alikes
from progeo_core.map.place_map import PlaceMap


@pytest.fixture
def corridor(make_map, make_places, unit_vectors):
    """Return a map of 60 places 1 m apart that look different, except place 50, which is as 10."""
    position = np.arange(60)[:, None] * [1.0, 0.0, 0.0]
    vectors = unit_vectors(60)
    vectors[50] = vectors[10]
    return make_map("corridor", make_places(60, position), vectors)


def test_a_place_seen_twice_far_apart_is_the_first_pair(corridor):
    with PlaceMap.open(corridor) as place_map:
        found = find_look_alikes(place_map, place_map.poses())
    assert found.other[10] == 50
    assert found.other[50] == 10
    assert found.similarity[10] == np.nanmax(found.similarity) > 0.8
    assert sorted(found.pairs[0].tolist()) == [10, 50]
    assert found.compared == 60


def test_what_is_near_is_no_look_alike(corridor):
    with PlaceMap.open(corridor) as place_map:
        found = find_look_alikes(place_map, place_map.poses())
    assert found.distance_m == pytest.approx(59.0 / 8.0)
    rows = np.arange(60)
    assert (np.abs(found.other - rows) >= found.distance_m).all()


def test_two_stretches_are_one_pair(make_map, make_places):
    # A corridor walked along twice, on two floors that look the same.
    ground = np.arange(100)[:, None] * [1.0, 0.0, 0.0]
    position = np.tile(ground, (2, 1))
    position[100:, 2] = 40.0
    angle = np.arange(100) / 20.0
    vectors = np.stack(
        [np.cos(k * angle) for k in range(4)] + [np.sin(k * angle) for k in range(4)]
    )
    vectors = np.tile((vectors / np.linalg.norm(vectors, axis=0)).T, (2, 1)).astype(np.float32)
    path = make_map("floors", make_places(200, position), vectors)
    with PlaceMap.open(path) as place_map:
        found = find_look_alikes(place_map, place_map.poses())
    same = found.pairs[np.abs(np.diff(found.pairs, axis=1)[:, 0]) == 100]
    first = position[same.min(axis=1), 0]
    assert len(first) >= 3
    assert np.diff(np.sort(first)).min() >= found.distance_m


def test_large_maps_are_compared_with_a_part_of_themselves(corridor, monkeypatch):
    monkeypatch.setattr(look_alikes, "_MAX_COMPARISONS", 60 * 30)
    advanced: list[int] = []
    with PlaceMap.open(corridor) as place_map:
        found = find_look_alikes(place_map, place_map.poses(), advanced.append)
    assert found.compared == 30
    assert found.other[50] == 10
    assert sum(advanced) == 60


def test_one_place_has_no_look_alike(make_map, make_places, unit_vectors):
    path = make_map("one", make_places(1), unit_vectors(1))
    with PlaceMap.open(path) as place_map:
        found = find_look_alikes(place_map, place_map.poses())
    assert found.other.tolist() == [-1]
    assert found.pairs.shape == (0, 2)


def test_places_in_one_spot_have_no_look_alikes(make_map, make_places, unit_vectors):
    path = make_map("spot", make_places(5, np.zeros((5, 3))), unit_vectors(5))
    with PlaceMap.open(path) as place_map:
        found = find_look_alikes(place_map, place_map.poses())
    assert found.other.tolist() == [-1] * 5
