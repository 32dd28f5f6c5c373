import fcntl

import pytest

from progeo_core.map.merge import merge_maps
from progeo_core.map.place_index import PlaceIndex
from progeo_core.map.place_map import PlaceMap


def names(folder):
    return sorted(entry.name for entry in folder.iterdir())


@pytest.fixture
def littered(filled_map):
    """Return a map with what kills of its writers leave beside it, and things of others."""
    folder = filled_map.parent
    for scratch in (".filled.progeo-abc_1234", ".new.progeo-abc_1234", ".filled.progeo-other-one"):
        (folder / scratch).mkdir()
        (folder / scratch / "filled.progeo").write_text("unfinished")
    (folder / "filled.faiss-1234-new").write_text("unfinished")
    (folder / "filled.faiss-notes-new").write_text("the user's")
    (folder / "filled.progeo-lock").write_text("1234")
    return filled_map


OTHERS = [".filled.progeo-other-one", ".new.progeo-abc_1234", "filled.faiss-notes-new"]


def test_the_next_writer_removes_what_kills_left(littered):
    with PlaceMap.open(littered, writable=True):
        pass
    assert names(littered.parent) == [*OTHERS, "filled.progeo"]


def test_the_next_index_removes_what_kills_left_of_earlier_ones(littered):
    with PlaceMap.open(littered) as place_map:
        PlaceIndex.open(place_map)
    assert "filled.faiss-1234-new" not in names(littered.parent)
    assert "filled.faiss" in names(littered.parent)


def test_making_a_map_removes_what_kills_left_of_that_name(littered, fingerprint):
    PlaceMap.create(littered.with_name("new.progeo"), fingerprint).close()
    assert ".new.progeo-abc_1234" not in names(littered.parent)


def test_merging_removes_what_kills_left_of_that_name(littered):
    merge_maps([littered], littered.with_name("new.progeo"))
    assert ".new.progeo-abc_1234" not in names(littered.parent)


def test_what_a_living_process_writes_stays(littered):
    unfinished = littered.with_name("filled.faiss-1234-new")
    with unfinished.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with PlaceMap.open(littered, writable=True):
            assert unfinished.exists()
