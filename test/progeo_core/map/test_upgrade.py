import math
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from progeo_core.errors import DataError
from progeo_core.map.confidence_calibration import Calibration, ConfidenceCurve
from progeo_core.map.place_features import StructureNote
from progeo_core.map.place_index import PlaceIndex
from progeo_core.map.place_map import PlaceMap
from progeo_core.map.schema import PROJECTED, VERSION
from progeo_core.map.write_lock import MapLock
from test.map_content import content_of, read_content
from test.place_views import make_view
from test.progeo_core.map.conftest import DATA

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
def unchanged(old_map, tmp_path):
    """Return what a reader sees of the map where it cannot be upgraded."""
    folder = tmp_path / "media"
    folder.mkdir()
    copy = shutil.copy(old_map, folder / "old.progeo")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("progeo_core.map.upgrade.may_write", lambda path: False)
        return read_content(copy)


@pytest.mark.parametrize("writable", [False, True])
def test_an_older_map_is_upgraded_when_it_is_opened(old_map, unchanged, writable):
    with PlaceMap.open(old_map, writable=writable) as place_map:
        assert content_of(place_map) == unchanged
        curves = ConfidenceCurve(0.25, 0.75), ConfidenceCurve(-0.5, 1.5)
        assert place_map.calibration() == Calibration(*curves)
        assert place_map.has_several_cameras()
        place_map.verify()
    assert version_of(old_map) == VERSION
    assert sorted(os.listdir(old_map.parent)) == ["media", "old.progeo"]
    with closing(sqlite3.connect(old_map)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        tables = dict(connection.execute("SELECT name, strict FROM pragma_table_list").fetchall())
    assert all(
        tables[name]
        for name in ("map", "place", "descriptor", "thumbnail", "intrinsics", "place_view")
    )


def test_an_upgraded_map_goes_on_as_any_other(old_map, make_places, unit_vectors):
    with PlaceMap.open(old_map, writable=True) as place_map:
        # Place 7 was the last, and 4 was deleted.
        assert place_map.append(make_places(2), unit_vectors(2)).tolist() == [8, 9]
        place_map.delete([1])
        assert len(PlaceIndex.open(place_map)) == 7
        assert not place_map.has_views
        place_map.set_views([2, 9], [make_view(np.zeros(3)), None])
        place_map.verify()
    with PlaceMap.open(old_map) as place_map:
        seen, none = place_map.views([2, 9])
        assert none is None
        assert len(seen.features.points) == 20
        place_map.verify()


def test_an_index_of_before_is_kept(old_map, unchanged, caplog):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("progeo_core.map.upgrade.may_write", lambda path: False)
        with PlaceMap.open(old_map) as place_map:
            PlaceIndex.open(place_map)
    caplog.clear()
    with PlaceMap.open(old_map) as place_map:
        PlaceIndex.open(place_map)
    assert version_of(old_map) == VERSION
    assert "building the index" not in caplog.text


def test_read_only_media_are_read_as_they_are(old_map, unchanged, as_reader):
    as_reader(old_map.parent)
    assert read_content(old_map) == unchanged
    with PlaceMap.open(old_map) as place_map:
        assert not place_map.has_views
        assert place_map.views([3, 1]) == [None, None]
        assert place_map.structure is None
        place_map.verify()


def test_damage_is_seen_on_read_only_media_with_checksums(tmp_path, edited, as_reader):
    folder = tmp_path / "media"
    folder.mkdir()
    path = shutil.copy(DATA / "schema2.progeo", folder / "old.progeo")
    edited(path, "UPDATE place SET x_m = x_m + 1 WHERE id = 3", "PRAGMA journal_mode = DELETE")
    as_reader(folder)
    with PlaceMap.open(path) as place_map:
        with pytest.raises(DataError, match="place 3: its pose does not match its checksum"):
            place_map.verify()
        with pytest.raises(DataError, match="place 3: its pose does not match its checksum"):
            place_map.views([3])


def test_a_map_that_another_program_writes_is_read_as_it_is(old_map, unchanged):
    lock = MapLock(old_map)
    assert read_content(old_map) == unchanged
    assert version_of(old_map) < VERSION
    lock.release()
    assert read_content(old_map) == unchanged
    assert version_of(old_map) == VERSION


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


@pytest.mark.parametrize(("old", "new"), [(3, VERSION), (4, PROJECTED)])
def test_maps_with_views_keep_them_and_how_wrong_their_poses_are(tmp_path, old, new):
    path = Path(shutil.copy(DATA / f"schema{old}.progeo", tmp_path / "old.progeo"))
    words = "triangulated between known poses whose poses err by 0.031 m and 0.57°"
    note = StructureNote("tiny-features", words, (0.031, math.radians(0.57)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("progeo_core.map.upgrade.may_write", lambda path: False)
        before = read_content(path)
        with PlaceMap.open(path) as place_map:
            assert place_map.structure == note
    assert version_of(path) == old
    with PlaceMap.open(path, writable=True) as place_map:
        assert content_of(place_map) == before
        assert place_map.structure == note
        assert place_map.view_counts().places == 2
        assert (place_map.dimension == 4) == (old == 4)
        place_map.set_structure(note._replace(pose_errors=(0.5, 0.25)))
        place_map.verify()
    assert version_of(path) == new
    with PlaceMap.open(path) as place_map:
        assert place_map.structure.pose_errors == (0.5, 0.25)


@pytest.mark.slow
def test_a_kill_at_any_statement_leaves_the_map_whole(old_map, unchanged, tmp_path):
    good = old_map.read_bytes()
    seen = set()
    old = version_of(old_map)
    # The first version has rows to sign, the second a few statements in all.
    for statement in np.linspace(12, {1: 85, 2: 40}[old], KILLS).astype(int):
        for left in tmp_path.glob("old.progeo*"):
            left.unlink()
        old_map.write_bytes(good)
        command = [sys.executable, "-c", UPGRADER, str(old_map), str(statement)]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        assert done.returncode in (0, -signal.SIGKILL), done.stderr
        seen.add((done.returncode, version_of(old_map)))
        with PlaceMap.open(old_map, writable=True) as place_map:
            assert content_of(place_map) == unchanged
            place_map.verify()
        assert set(os.listdir(tmp_path)) == {"media", "old.progeo"}
    assert (-signal.SIGKILL, old) in seen
