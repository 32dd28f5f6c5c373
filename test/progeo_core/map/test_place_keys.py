import dataclasses
from pathlib import Path

import numpy as np
import pytest

from progeo_core.map.place_keys import first_rows, rows_of_moved_records, rows_of_records
from progeo_core.map.place_map import PlaceMap
from progeo_core.records.image_source import source_of_arrays


@pytest.fixture
def table(filled_map, make_places, unit_vectors):
    with PlaceMap.open(filled_map, writable=True) as place_map:
        named = make_places(3)._replace(image=["a/x.jpg", "b/y.jpg", "c/y.jpg"])
        place_map.append(named._replace(stamp_ns=np.array([0, 0, 7])), unit_vectors(3))
        return place_map.places()


def records(*names, stamp_ns=None):
    image = np.zeros((4, 4, 3), np.uint8)
    source = source_of_arrays([image] * len(names), np.zeros((len(names), 2)), stamp_ns=stamp_ns)
    return dataclasses.replace(source.records, images=tuple(map(Path, names)))


def test_an_image_is_a_place_by_name_traverse_and_stamp(table):
    given = records("3.jpg", "9.jpg", "a/x.jpg", "c/y.jpg")
    assert rows_of_records(table, given).tolist() == [3, -1, 5, -1]
    assert rows_of_records(table, records("c/y.jpg", stamp_ns=[7])).tolist() == [7]
    elsewhere = dataclasses.replace(given, traverse=("monday",) * 4)
    assert rows_of_records(table, elsewhere).tolist() == [-1] * 4


def test_a_name_as_seen_from_the_working_folder_is_that_of_the_file(table, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    given = records(str(tmp_path / "a" / "x.jpg"), str(tmp_path / "b" / "x.jpg"))
    assert rows_of_records(table, given).tolist() == [5, -1]


def test_an_image_that_comes_twice_is_one():
    given = records("a.jpg", "a.jpg", "a.jpg", "b.jpg", stamp_ns=[1, 1, 2, 1])
    assert first_rows(given).tolist() == [True, False, True, True]


def test_a_folder_that_moved_leaves_names_that_are_clear(table):
    assert rows_of_moved_records(table, records("z/x.jpg", "z/y.jpg")).tolist() == [5, 6]
    # Two images of one name, and a place that its own image has already.
    assert rows_of_moved_records(table, records("z/x.jpg", "w/x.jpg")).tolist() == [-1, -1]
    assert rows_of_moved_records(table, records("a/x.jpg", "w/x.jpg")).tolist() == [5, -1]
