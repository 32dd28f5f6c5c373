import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from progeo_core.errors import DataError, ModelMismatchError, UsageError
from progeo_core.fingerprint import ModelFingerprint
from progeo_core.geo import Datum, wgs84_from_enu
from progeo_core.map_edit import PruneSettings, merge_maps, prune_map
from progeo_core.place_index import PlaceIndex
from progeo_core.place_map import PlaceMap


@pytest.fixture
def make_map(tmp_path, fingerprint):
    """Return a function that writes a closed map of given places."""

    def make(name, places, vectors, datum=None, model=fingerprint):
        path = tmp_path / f"{name}.progeo"
        with PlaceMap.create(path, model, datum) as place_map:
            place_map.append(places, vectors)
        return path

    return make


def turned(vector, angle_rad):
    """Return a unit vector at an angle from a unit vector."""
    other = np.roll(vector, 1) - (np.roll(vector, 1) @ vector) * vector
    return np.cos(angle_rad) * vector + np.sin(angle_rad) * other / np.linalg.norm(other)


def test_merge_copies_everything(tmp_path, make_map, make_places, unit_vectors):
    places = make_places(3, camera="front")._replace(
        yaw_rad=np.array([0.5, np.nan, -3.0]),
        stamp_ns=np.array([1, 0, 2**62]),
        traverse=["dawn", "noon", "dusk"],
        thumbnail=[b"a", None, b"c"],
    )
    first = make_map("first", places, unit_vectors(3))
    second = make_map("second", make_places(2), unit_vectors(2, seed=1))
    steps = []
    report = merge_maps([first, second], tmp_path / "both.progeo", advance=steps.append)
    assert report == (5, None)
    assert sum(steps) == 5
    with PlaceMap.open(tmp_path / "both.progeo") as merged:
        table = merged.places()
        np.testing.assert_array_equal(table.position[:3], places.position)
        np.testing.assert_array_equal(table.yaw_rad[:3], places.yaw_rad)
        assert table.stamp_ns.tolist() == [1, 0, 2**62, 0, 0]
        assert table.camera == ("front", "front", "front", "", "")
        assert table.traverse == ("dawn", "noon", "dusk", "", "")
        assert table.image == ("0.jpg", "1.jpg", "2.jpg", "0.jpg", "1.jpg")
        assert [merged.thumbnail(i) for i in table.ids] == [b"a", None, b"c", None, None]
        both = np.concatenate([unit_vectors(3), unit_vectors(2, seed=1)])
        np.testing.assert_array_equal(merged.descriptors(), both.astype(np.float16))
    assert sorted(os.listdir(tmp_path)) == ["both.progeo", "first.progeo", "second.progeo"]


def test_merge_keeps_places_where_they_are_on_earth(tmp_path, make_map, make_places, unit_vectors):
    here, there = Datum(47.3769, 8.5417, 408.0), Datum(47.4, 9.3, 700.0)
    places = make_places(4)._replace(yaw_rad=np.array([0.0, 1.0, -2.0, np.nan]))
    first = make_map("first", make_places(1), unit_vectors(1), here)
    second = make_map("second", places, unit_vectors(4), there)
    assert merge_maps([first, second], tmp_path / "both.progeo").datum == here
    with PlaceMap.open(tmp_path / "both.progeo") as merged:
        table = merged.places()
    on_earth = wgs84_from_enu(table.position[1:], here)
    np.testing.assert_allclose(on_earth, wgs84_from_enu(places.position, there), atol=1e-7)
    # Going east on the northern half, east turns north by the longitude times sin(latitude).
    turn = np.radians(there.lon_deg - here.lon_deg) * np.sin(np.radians(47.39))
    np.testing.assert_allclose(table.yaw_rad[1:4] - places.yaw_rad[:3], turn, atol=1e-4)
    assert np.isnan(table.yaw_rad[4])


def test_merge_refuses_what_does_not_fit(tmp_path, make_map, make_places, unit_vectors):
    local = make_map("local", make_places(1), unit_vectors(1))
    placed = make_map("placed", make_places(1), unit_vectors(1), Datum(1.0, 2.0))
    other = ModelFingerprint("large+GeM", 8, "64x64", "cd" * 32)
    foreign = make_map("foreign", make_places(1), unit_vectors(1), model=other)
    target = tmp_path / "both.progeo"
    with pytest.raises(UsageError, match=r"local\.progeo has no datum, but .*placed\.progeo has"):
        merge_maps([placed, local], target)
    with pytest.raises(ModelMismatchError, match=r"made with large.* in use is tiny"):
        merge_maps([local, foreign], target)
    with pytest.raises(DataError, match=r"placed\.progeo exists already"):
        merge_maps([local], placed)
    with pytest.raises(UsageError, match="name one or more"):
        merge_maps([], target)
    with pytest.raises(DataError, match="No such file or directory"):
        merge_maps([local], tmp_path / "none" / "both.progeo")
    assert not target.exists()


def test_merge_that_fails_leaves_nothing(tmp_path, make_map, make_places, unit_vectors):
    def interrupt(count):
        raise KeyboardInterrupt

    source = make_map("local", make_places(3), unit_vectors(3))
    with pytest.raises(KeyboardInterrupt):
        merge_maps([source], tmp_path / "both.progeo", advance=interrupt)
    assert os.listdir(tmp_path) == ["local.progeo"]


def test_prune_keeps_the_newest_of_what_looks_alike(make_map, make_places, unit_vectors):
    look = unit_vectors(1)[0]
    spots = np.array([[0.0, 0, 0], [0.3, 0, 0], [0.9, 0, 0], [5.0, 0, 0], [0.3, 0, 3.0]])
    alike = np.stack([turned(look, 0.02 * step) for step in range(5)])
    path = make_map("a", make_places(5, spots), alike)
    with PlaceMap.open(path, writable=True) as place_map:
        steps = []
        report = prune_map(place_map, PruneSettings(distance_m=1.0), advance=steps.append)
        # Far along the floor, and one floor up, are other places.
        assert place_map.places().ids.tolist() == [3, 4, 5]
        assert report == (5, 2, 0)
        assert report.after == len(place_map) == 3
        assert sum(steps) == 5
        assert prune_map(place_map).after == 3


def test_prune_keeps_other_conditions_and_cameras(make_map, make_places, unit_vectors):
    look = unit_vectors(1)[0]
    night = turned(look, 1.0)
    places = make_places(4, np.zeros((4, 3)))._replace(camera=["front", "front", "rear", "front"])
    path = make_map("a", places, np.stack([look, night, look, turned(look, 0.1)]))
    with PlaceMap.open(path, writable=True) as place_map:
        assert prune_map(place_map).redundant == 1
        assert place_map.places().ids.tolist() == [2, 3, 4]


def test_prune_compares_directions_of_raw_descriptors(make_map, make_places, unit_vectors):
    look = unit_vectors(1)[0]
    path = make_map("a", make_places(2, np.zeros((2, 3))), np.stack([3.0 * look, 0.2 * look]))
    with PlaceMap.open(path, writable=True) as place_map:
        assert prune_map(place_map).redundant == 1


def test_prune_bounds_a_cell_and_keeps_what_differs(make_map, make_places, unit_vectors):
    look = unit_vectors(1)[0]
    angles = [1.5, 0.0, 0.4, 0.45, 0.8]
    path = make_map(
        "a", make_places(5, np.full((5, 3), 0.5)), np.stack([turned(look, a) for a in angles])
    )
    with PlaceMap.open(path, writable=True) as place_map:
        report = prune_map(place_map, PruneSettings(similarity=1.0, places_per_cell=3))
        assert report == (5, 0, 2)
        # The newest, then the two ends of the fan of looks.
        assert place_map.places().ids.tolist() == [1, 2, 5]


def test_prune_that_drops_nothing_leaves_the_index_valid(make_map, make_places, unit_vectors):
    path = make_map("a", make_places(20), unit_vectors(20))
    with PlaceMap.open(path, writable=True) as place_map:
        PlaceIndex.open(place_map)
        revision = place_map.revision
        assert prune_map(place_map, PruneSettings(distance_m=0.5)).after == 20
        assert place_map.revision == revision


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_pruned_places_have_a_stand_in(tmp_path_factory, fingerprint, make_places, seed):
    random = np.random.default_rng(seed)
    position = random.uniform(-3, 3, (40, 3)) * [1, 1, 0.1]
    looks = np.eye(8)[random.integers(0, 3, 40)] + random.normal(scale=0.1, size=(40, 8))
    cameras = random.choice(["left", "right"], 40).tolist()
    limits = PruneSettings(distance_m=1.2, similarity=0.9)
    path = tmp_path_factory.mktemp("prune") / "a.progeo"
    with PlaceMap.create(path, fingerprint) as place_map:
        ids = place_map.append(make_places(40, position)._replace(camera=cameras), looks)
        unit = place_map.descriptors().astype(np.float64)
        prune_map(place_map, limits)
        kept = place_map.places().ids
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    near = np.linalg.norm(position[:, None] - position[None], axis=-1) < limits.distance_m
    alike = unit @ unit.T >= limits.similarity
    same = np.array(cameras)[:, None] == np.array(cameras)[None]
    stands_for = near & alike & same
    np.fill_diagonal(stands_for, False)
    kept_rows = np.isin(ids, kept)
    assert not stands_for[np.ix_(kept_rows, kept_rows)].any()
    assert stands_for[np.ix_(~kept_rows, kept_rows)].any(axis=1).all()
