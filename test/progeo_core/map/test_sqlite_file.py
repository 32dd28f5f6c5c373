import os
import resource
import sqlite3
import time
from contextlib import closing

import pytest

from progeo_core.errors import DataError
from progeo_core.map import sqlite_file
from progeo_core.map.place_map import PlaceMap
from progeo_core.map.sqlite_file import explained, open_file, time_limit

ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"


def test_files_that_are_no_maps(tmp_path, edited):
    text, empty = tmp_path / "text.progeo", tmp_path / "empty.progeo"
    text.write_text("no database " * 100)
    empty.touch()
    other = tmp_path / "other.progeo"
    edited(other, "CREATE TABLE cake (layers)")
    for path in (text, empty, other):
        with pytest.raises(DataError, match=f"{path.name}: this is not a progeo map"):
            PlaceMap.open(path)
    for path in (tmp_path / "none.progeo", tmp_path):
        folder = path.with_suffix(".progeo")
        with pytest.raises(DataError, match=r"there is no map here.*progeo map build"):
            PlaceMap.open(folder)
    with pytest.raises(DataError, match="there is no map here"):
        PlaceMap.open(tmp_path / "none.progeo", writable=True)
    assert not (tmp_path / "none.progeo-lock").exists()


def test_truncated_map(filled_map):
    os.truncate(filled_map, filled_map.stat().st_size - 10_000)
    with pytest.raises(DataError, match="the map is damaged; restore a copy"):
        PlaceMap.open(filled_map)


def test_names_with_odd_characters(tmp_path, fingerprint):
    folder = tmp_path / "50% of? #1 ü"
    folder.mkdir()
    path = folder / "map & co.progeo"
    PlaceMap.create(path, fingerprint).close()
    with PlaceMap.open(path) as place_map:
        assert len(place_map) == 0
    assert os.listdir(folder) == [path.name]


def test_what_takes_too_long_is_interrupted(filled_map, monkeypatch):
    monkeypatch.setattr(sqlite_file, "_MAX_OPENING_S", 0.05)
    with closing(open_file(filled_map, writable=False).connection) as connection:
        with (
            pytest.raises(DataError, match=r"filled\.progeo: .*made to keep programs busy"),
            explained(filled_map),
            time_limit(connection),
        ):
            connection.execute(ENDLESS).fetchone()
        # What comes after opening may take its time.
        started = time.monotonic()
        while time.monotonic() < started + 0.06:
            connection.execute("SELECT count(*) FROM place").fetchone()


def test_what_a_file_calls_may_do_nothing_outside_it(filled_map):
    for writable in (False, True):
        with closing(open_file(filled_map, writable=writable).connection) as connection:
            assert connection.execute("PRAGMA trusted_schema").fetchone() == (0,)


def test_a_writable_file_is_a_map_and_a_reader_cannot_change_it(filled_map):
    with (
        closing(open_file(filled_map, writable=False).connection) as connection,
        pytest.raises(sqlite3.OperationalError, match="readonly"),
    ):
        connection.execute("DELETE FROM place")


def test_a_map_opens_on_a_full_disk(filled_map):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        with PlaceMap.open(filled_map) as place_map:
            assert len(place_map.descriptors()) == 5
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
