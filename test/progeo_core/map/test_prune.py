from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from progeo_core.descriptors.standardization import Standardization
from progeo_core.inference.loading import load_encoder
from progeo_core.map.build import build_map
from progeo_core.map.place_index import PlaceIndex
from progeo_core.map.place_map import PlaceMap
from progeo_core.map.prune import PruneSettings, prune_map
from progeo_core.records.image_source import FileSource
from progeo_core.records.records import read_records

ELSEWHERE = 200


@pytest.fixture
def make_site(make_map, make_places, unit_vectors):
    """Return a function that writes a map of given places, after those of a large site far away.

    On such a map, likeness is nearly the cosine.
    """

    def make(places, vectors):
        far = make_places(ELSEWHERE, np.full((ELSEWHERE, 3), 1e3) + 1e2 * np.eye(3)[0])
        far = far._replace(position=far.position * np.arange(1, ELSEWHERE + 1)[:, None])
        path = make_map("site", far, unit_vectors(ELSEWHERE, seed=5))
        with PlaceMap.open(path, writable=True) as place_map:
            place_map.append(places, vectors)
        return path

    return make


def turned(vector, angle_rad):
    """Return a unit vector at an angle from a unit vector."""
    other = np.roll(vector, 1) - (np.roll(vector, 1) @ vector) * vector
    return np.cos(angle_rad) * vector + np.sin(angle_rad) * other / np.linalg.norm(other)


def left(place_map):
    """Return the numbers, from 1, of the places that are left of the given ones."""
    ids = place_map.ids()
    return (ids[ids > ELSEWHERE] - ELSEWHERE).tolist()


def test_prune_keeps_the_newest_of_what_looks_alike(make_site, make_places, unit_vectors):
    look = unit_vectors(1)[0]
    spots = np.array([[0.0, 0, 0], [0.3, 0, 0], [0.9, 0, 0], [5.0, 0, 0], [0.3, 0, 3.0]])
    alike = np.stack([turned(look, 0.02 * step) for step in range(5)])
    with PlaceMap.open(make_site(make_places(5, spots), alike), writable=True) as place_map:
        steps: list[int] = []
        report = prune_map(place_map, PruneSettings(distance_m=1.0), advance=steps.append)
        # Far along the floor, and one floor up, are other places.
        assert left(place_map) == [3, 4, 5]
        assert report == (ELSEWHERE + 5, 2, 0)
        assert report.after == len(place_map) == ELSEWHERE + 3
        assert sum(steps) == ELSEWHERE + 5
        assert prune_map(place_map).after == ELSEWHERE + 3


def test_prune_keeps_other_conditions_and_cameras(make_site, make_places, unit_vectors):
    look = unit_vectors(1)[0]
    night = turned(look, 1.2)
    places = make_places(4, np.zeros((4, 3)))._replace(camera=["front", "front", "rear", "front"])
    path = make_site(places, np.stack([look, night, look, turned(look, 0.1)]))
    with PlaceMap.open(path, writable=True) as place_map:
        assert prune_map(place_map).redundant == 1
        assert left(place_map) == [2, 3, 4]


def test_prune_compares_directions_of_raw_descriptors(make_site, make_places, unit_vectors):
    look = unit_vectors(1)[0]
    path = make_site(make_places(2, np.zeros((2, 3))), np.stack([3.0 * look, 0.2 * look]))
    with PlaceMap.open(path, writable=True) as place_map:
        assert prune_map(place_map).redundant == 1


def test_prune_bounds_a_cell_and_keeps_what_differs(make_site, make_places, unit_vectors):
    look = unit_vectors(1)[0]
    angles = [1.5, 0.0, 0.4, 0.45, 0.8]
    path = make_site(make_places(5, np.full((5, 3), 0.5)), [turned(look, a) for a in angles])
    with PlaceMap.open(path, writable=True) as place_map:
        report = prune_map(place_map, PruneSettings(similarity=1.0, places_per_cell=3))
        assert report == (ELSEWHERE + 5, 0, 2)
        # The newest, then the two ends of the fan of looks.
        assert left(place_map) == [1, 2, 5]


def test_prune_that_drops_nothing_leaves_the_index_valid(make_map, make_places, unit_vectors):
    path = make_map("a", make_places(20), unit_vectors(20))
    with PlaceMap.open(path, writable=True) as place_map:
        PlaceIndex.open(place_map)
        revision = place_map.revision
        assert prune_map(place_map, PruneSettings(distance_m=0.5)).after == 20
        assert place_map.revision == revision


def test_an_empty_map_and_one_of_equal_images_are_pruned_too(tmp_path, fingerprint, make_places):
    with PlaceMap.create(tmp_path / "a.progeo", fingerprint) as place_map:
        assert prune_map(place_map) == (0, 0, 0)
        place_map.append(make_places(3, np.zeros((3, 3))), np.tile(np.eye(8)[0], (3, 1)))
        assert prune_map(place_map) == (3, 2, 0)


@pytest.fixture(scope="module")
def two_passes(corridor: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a map of 30 m of the corridor in two lights, an image per metre, by the model."""
    encoder = load_encoder(device="cpu", runtime="torch")
    path = tmp_path_factory.mktemp("corridor") / "corridor.progeo"
    for name in ("ref", "query"):
        records = read_records(corridor / f"{name}.csv").select(np.arange(40, 70))
        build_map(path, FileSource(records), encoder, append=name == "query")
    return path


@pytest.mark.slow
def test_a_corridor_in_another_light_stays_and_its_own_neighbours_go(two_passes: Path) -> None:
    with PlaceMap.open(two_passes, writable=True) as place_map:
        # At every metre there are two images, which show the same place.
        assert prune_map(place_map).redundant <= 3
        prune_map(place_map, PruneSettings(distance_m=1.5))
        places = place_map.places()
    for of_pass in (places.ids <= 30, places.ids > 30):
        metres = places.position[of_pass, 0]
        assert 10 <= len(metres) <= 24
        # Wherever the robot is, a place of this light is near.
        assert np.abs(np.subtract.outer(np.arange(40, 70), metres)).min(axis=1).max() <= 2.0


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1))
def test_pruned_places_have_a_stand_in(tmp_path_factory, fingerprint, make_places, seed):
    random = np.random.default_rng(seed)
    position = random.uniform(-3, 3, (40, 3)) * [1, 1, 0.1]
    looks = np.eye(8)[random.integers(0, 3, 40)] + random.normal(scale=0.1, size=(40, 8))
    cameras = random.choice(["left", "right"], 40).tolist()
    limits = PruneSettings(distance_m=1.2, similarity=0.4)
    path = tmp_path_factory.mktemp("prune") / "a.progeo"
    with PlaceMap.create(path, fingerprint) as place_map:
        ids = place_map.append(make_places(40, position)._replace(camera=cameras), looks)
        unit = place_map.descriptors().astype(np.float32)
        prune_map(place_map, limits)
        kept = place_map.places().ids
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    view = Standardization.of_descriptors(unit).standardize(unit).astype(np.float64)
    near = np.linalg.norm(position[:, None] - position[None], axis=-1) < limits.distance_m
    alike = 1.0 - np.mean((view[:, None] - view[None]) ** 2, axis=-1) / 2.0 >= limits.similarity
    same = np.array(cameras)[:, None] == np.array(cameras)[None]
    stands_for = near & alike & same
    np.fill_diagonal(stands_for, False)
    kept_rows = np.isin(ids, kept)
    assert not stands_for[np.ix_(kept_rows, kept_rows)].any()
    assert stands_for[np.ix_(~kept_rows, kept_rows)].any(axis=1).all()
