import numpy as np
import pytest

from progeo_core.descriptors.projection import learn_projection
from progeo_core.errors import DataError
from progeo_core.map.place_map import PlaceMap
from test.map_content import assert_damaged, check


@pytest.fixture
def short_map(full_map, unit_vectors):
    with PlaceMap.open(full_map, writable=True) as place_map:
        place_map.shorten(learn_projection(place_map.descriptors(), 4))
    return full_map


def test_the_projection_is_read_as_it_was_written(short_map, unit_vectors):
    check(short_map)
    with PlaceMap.open(short_map) as place_map:
        assert place_map.dimension == 4
        kept = place_map.shortened(unit_vectors(60))
        np.testing.assert_allclose(place_map.descriptors(), kept, atol=1e-3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("UPDATE projection SET dimension = 5", "another size than it should"),
        ("UPDATE projection SET dimension = 8", "cannot shorten descriptors of 8 values"),
        ("UPDATE projection SET dimension = -1", "cannot shorten descriptors of 8 values"),
        ("DELETE FROM projection", "cannot shorten descriptors of 8 values"),
        ("UPDATE projection SET components = zeroblob(128)", "does not match its checksum"),
        ("UPDATE projection SET crc32 = 1", "does not match its checksum"),
        ("PRAGMA user_version = 5", "'projection' does not belong in a map"),
        ("DROP TABLE projection", "its table projection is missing"),
    ],
)
def test_a_changed_projection_is_one_clear_error(short_map, edited, change, message):
    edited(short_map, change)
    assert_damaged(short_map, message)


def test_a_kill_before_the_commit_leaves_whole_descriptors(full_map, monkeypatch):
    with PlaceMap.open(full_map, writable=True) as place_map:
        projection = learn_projection(place_map.descriptors(), 4)
        before = place_map.descriptors()
        monkeypatch.setattr("progeo_core.map.place_rows.PlaceRows.replace_descriptors", _no_space)
        with pytest.raises(DataError, match="disk"):
            place_map.shorten(projection)
        assert place_map.dimension == 8
        np.testing.assert_array_equal(place_map.descriptors(), before)
    check(full_map)


def _no_space(*_):
    raise DataError("the disk is full")
