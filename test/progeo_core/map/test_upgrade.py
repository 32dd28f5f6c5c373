import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing

import numpy as np
import pytest

from progeo_core.errors import DataError
from progeo_core.map.confidence_calibration import Calibration, ConfidenceCurve
from progeo_core.map.place_index import PlaceIndex
from progeo_core.map.place_map import PlaceMap
from progeo_core.map.schema import VERSION
from progeo_core.map.write_lock import MapLock
from test.map_content import content_of, read_content

KILLS = 6
# Stops itself at the n-th statement of an upgrade, as a kill would.
UPGRADER = """
import os, signal, sqlite3, sys
from progeo_core.map import sqlite_file
from progeo_core.map.place_map import PlaceMap
connect, left = sqlite3.connect, [int(sys.argv[2])]
def traced(*args, **kwargs):
    connection = connect(*args, **kwargs)
    def count(statement):
        left[0] -= 1
        if left[0] < 0:
            os.kill(os.getpid(), signal.SIGKILL)
    connection.set_trace_callback(count)
    return connection
sqlite_file.sqlite3.connect = traced
PlaceMap.open(sys.argv[1]).close()
print("upgraded")
"""


def version_of(path):
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("PRAGMA user_version").fetchone()[0]


@pytest.fixture
def unchanged(schema1_map, tmp_path):
    """Return what a reader sees of the map where it cannot be upgraded."""
    folder = tmp_path / "media"
    folder.mkdir()
    copy = shutil.copy(schema1_map, folder / "old.progeo")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("progeo_core.map.upgrade.may_write", lambda path: False)
        return read_content(copy)


@pytest.mark.parametrize("writable", [False, True])
def test_an_older_map_is_upgraded_when_it_is_opened(schema1_map, unchanged, writable):
    with PlaceMap.open(schema1_map, writable=writable) as place_map:
        assert content_of(place_map) == unchanged
        curves = ConfidenceCurve(0.25, 0.75), ConfidenceCurve(-0.5, 1.5)
        assert place_map.calibration() == Calibration(*curves)
        assert place_map.has_several_cameras()
        place_map.verify()
    assert version_of(schema1_map) == VERSION
    assert sorted(os.listdir(schema1_map.parent)) == ["media", "old.progeo"]
    with closing(sqlite3.connect(schema1_map)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        tables = dict(connection.execute("SELECT name, strict FROM pragma_table_list").fetchall())
    assert all(tables[name] for name in ("map", "place", "descriptor", "thumbnail"))


def test_an_upgraded_map_goes_on_as_any_other(schema1_map, make_places, unit_vectors):
    with PlaceMap.open(schema1_map, writable=True) as place_map:
        # Place 7 was the last, and 4 was deleted.
        assert place_map.append(make_places(2), unit_vectors(2)).tolist() == [8, 9]
        place_map.delete([1])
        assert len(PlaceIndex.open(place_map)) == 7
        place_map.verify()


def test_an_index_of_before_is_kept(schema1_map, unchanged, caplog):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("progeo_core.map.upgrade.may_write", lambda path: False)
        with PlaceMap.open(schema1_map) as place_map:
            PlaceIndex.open(place_map)
    caplog.clear()
    with PlaceMap.open(schema1_map) as place_map:
        PlaceIndex.open(place_map)
    assert version_of(schema1_map) == VERSION
    assert "building the index" not in caplog.text


def test_read_only_media_are_read_as_they_are(schema1_map, unchanged, as_reader):
    as_reader(schema1_map.parent)
    assert read_content(schema1_map) == unchanged
    with PlaceMap.open(schema1_map) as place_map:
        place_map.verify()


def test_a_map_that_another_program_writes_is_read_as_it_is(schema1_map, unchanged):
    lock = MapLock(schema1_map)
    assert read_content(schema1_map) == unchanged
    assert version_of(schema1_map) == 1
    lock.release()
    assert read_content(schema1_map) == unchanged
    assert version_of(schema1_map) == VERSION


def test_a_damaged_map_stays_as_it_is(schema1_map, edited, caplog):
    edited(schema1_map, "UPDATE place SET x_m = 'east' WHERE id = 3")
    with PlaceMap.open(schema1_map) as place_map:
        assert "cannot be upgraded" in caplog.text
        assert place_map.thumbnail(2) is not None
        with pytest.raises(DataError, match="place 3: its position is no number"):
            place_map.poses()
    with pytest.raises(DataError, match="place 3: its position is no number"):
        PlaceMap.open(schema1_map, writable=True)
    assert version_of(schema1_map) == 1


@pytest.mark.slow
def test_a_kill_at_any_statement_leaves_the_map_whole(schema1_map, unchanged, tmp_path):
    good = schema1_map.read_bytes()
    seen = set()
    for statement in np.linspace(12, 85, KILLS).astype(int):
        for left in tmp_path.glob("old.progeo*"):
            left.unlink()
        schema1_map.write_bytes(good)
        command = [sys.executable, "-c", UPGRADER, str(schema1_map), str(statement)]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        assert done.returncode in (0, -signal.SIGKILL), done.stderr
        seen.add((done.returncode, version_of(schema1_map)))
        with PlaceMap.open(schema1_map, writable=True) as place_map:
            assert content_of(place_map) == unchanged
            place_map.verify()
        assert set(os.listdir(tmp_path)) == {"media", "old.progeo"}
    assert (-signal.SIGKILL, 1) in seen
