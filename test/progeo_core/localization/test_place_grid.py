import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from progeo_core.localization.place_grid import PlaceGrid


def brute_force(places, points, radius_m):
    distance = np.linalg.norm(points[:, None] - places[None], axis=2)
    return {(int(i), int(j)) for i, j in zip(*np.nonzero(distance <= radius_m), strict=True)}


@given(
    st.integers(0, 1000),
    st.integers(1, 40),
    st.floats(0.1, 20.0),
    st.floats(0.5, 20.0),
)
def test_pairs_are_those_of_brute_force(seed, count, radius_m, cell_m):
    rng = np.random.default_rng(seed)
    places, points = rng.uniform(-30, 30, (count, 3)), rng.uniform(-40, 40, (7, 3))
    pairs = PlaceGrid(places, cell_m).near(points, radius_m)
    found = list(zip(pairs.point.tolist(), pairs.row.tolist(), strict=True))
    assert len(found) == len(set(found))
    assert set(found) == brute_force(places, points, radius_m)


def test_distances_are_in_space_so_floors_are_apart():
    pairs = PlaceGrid(np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 4.0]]), 2.0).near(np.zeros((1, 3)), 3.0)
    assert pairs.row.tolist() == [0]
    assert pairs.distance_m.tolist() == [0.0]


def test_nothing_near_gives_no_pairs():
    pairs = PlaceGrid(np.zeros((3, 3)), 1.0).near(np.full((2, 3), 100.0), 5.0)
    assert pairs.point.size == pairs.row.size == 0
    assert PlaceGrid(np.zeros((3, 3)), 1.0).near(np.empty((0, 3)), 5.0).row.size == 0


@pytest.mark.parametrize("offset_m", [1e6, -1e6])
def test_far_from_the_origin(offset_m):
    places = np.array([[offset_m, -offset_m, 0.0]])
    assert PlaceGrid(places, 1.0).near(places + 0.5, 1.0).row.tolist() == [0]
