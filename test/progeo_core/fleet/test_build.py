"""Building a fleet's store from images: on from where it stopped, and never twice."""

import pytest

from progeo_core.errors import DataError, UsageError
from progeo_core.fleet import described_blocks
from progeo_core.fleet.build import build_fleet, in_this_process, session_of_records
from progeo_core.fleet.lance_store import open_fleet
from progeo_core.fleet.push import push_map, session_of_map
from progeo_core.geo import Datum
from progeo_core.map.build import build_map
from progeo_core.map.place_map import PlaceMap
from progeo_core.records.image_source import JoinedSource, source_of_records
from test.fleet_images import BROKEN, GreyEncoder, content, write_records
from test.fleet_places import MODEL

# LanceDB takes a second to import.
pytestmark = pytest.mark.slow

COUNT = 30
DATUM = Datum(48.1, 11.5)


@pytest.fixture
def table(corridor, tmp_path):
    return write_records(tmp_path, sorted((corridor / "ref").glob("*.jpg"))[:20], COUNT)


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setattr(described_blocks, "BLOCK", 8)
    return open_fleet(str(tmp_path / "fleet"), MODEL)


def build(store, table, name="drive", datum=DATUM, encoder=None, advance=lambda count: None):
    return build_source(store, source_of_records(table), name, datum, encoder, advance)


def build_source(
    store, source, name="drive", datum=DATUM, encoder=None, advance=lambda count: None
):
    session = session_of_records(store, source.records, "ada", name, datum)
    describe = in_this_process(encoder or GreyEncoder(), None)
    return build_fleet(store, source, session, describe, advance=advance)


def test_an_interrupted_build_goes_on_and_describes_nothing_twice(store, table):
    counted = []

    def interrupt(count):
        counted.append(count)
        if len(counted) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(store, table, advance=interrupt)
    assert (counted, store.info().places) == ([0, 8, 8], 15)
    encoder = GreyEncoder()
    report = build(store, table, encoder=encoder, datum=None)
    assert (report.added, report.known, encoder.described) == (COUNT - 16, 15, COUNT - 16)
    (skipped,) = report.skipped
    assert "broken.jpg" in skipped
    assert build(store, table).added == 0
    assert len(content(store)) == COUNT - 1


def test_places_are_those_of_a_map_of_the_same_records(store, table, tmp_path):
    # As a bag that holds its images twice.
    twice = JoinedSource((source_of_records(table),) * 2)
    build_map(tmp_path / "drive.progeo", twice, GreyEncoder(), datum=DATUM)
    with PlaceMap.open(tmp_path / "drive.progeo") as place_map:
        other = open_fleet(str(tmp_path / "other"), MODEL)
        push_map(place_map, other, session_of_map(place_map, "ada"))
        build_source(store, twice)
        assert content(store) == content(other)
        # Either goes on with what the other began.
        assert push_map(place_map, store, session_of_map(place_map, "ada")).added == 0
        assert build(other, table).added == 0


def test_a_pruned_place_is_not_described_again(store, table):
    build(store, table)
    store.compact([*content(store)][:4])
    encoder = GreyEncoder()
    report = build(store, table, encoder=encoder)
    assert (report.added, report.known, encoder.described) == (0, COUNT - 1, 0)


def test_other_images_and_frames_under_one_name_are_refused(store, table):
    build(store, table)
    with pytest.raises(UsageError, match=r"session 'ada/drive' start from 48.1,.*--session"):
        build(store, table, datum=Datum(48.2, 11.5))
    table.write_text(table.read_text().replace(f",{COUNT - 1},0,", f",{COUNT - 3},0,"))
    with pytest.raises(UsageError, match=r"has .* already, 2.0 m from where it is now"):
        build(store, table)
    assert build(store, table, name="other").added == COUNT - 1
    with pytest.raises(UsageError, match="say with --datum"):
        build(store, table, name="third", datum=None)


def test_nothing_that_can_be_used_is_an_error(store, table):
    lines = table.read_text().splitlines()
    table.write_text("\n".join([lines[0], lines[1 + BROKEN]]) + "\n")
    with pytest.raises(DataError, match=r"none of 1 images can be used, first: .*broken.jpg"):
        build(store, table)


def test_processes_that_describe_differently_are_refused(store, table):
    source = source_of_records(table)
    session = session_of_records(store, source.records, "ada", "drive", DATUM)

    def describe(source, records, rows):
        for number, block in enumerate(in_this_process(GreyEncoder(), None)(source, records, rows)):
            yield block._replace(runs_in=f"runtime {number}")

    with pytest.raises(DataError, match=r"runtime 0 and runtime 1.*--runtime"):
        build_fleet(store, source, session, describe)
