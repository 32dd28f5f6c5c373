"""Pushing a robot's map: once, on from where it stopped, and never into another's session."""

import logging
import shutil
import time

import numpy as np
import pytest

from progeo_core.errors import DataError, UsageError
from progeo_core.fleet.lance_store import open_fleet
from progeo_core.fleet.push import push_map, session_of_map
from progeo_core.map.place_map import PlaceMap
from test.fleet_places import MODEL, PLACES, SESSION, some_places

pytestmark = pytest.mark.slow


@pytest.fixture
def site(tmp_path):
    given = some_places()
    with PlaceMap.create(tmp_path / "site.progeo", MODEL, SESSION.datum) as place_map:
        place_map.append(given.places, given.descriptors)
        yield place_map


def test_a_push_goes_on_where_it_stopped_and_adds_nothing_twice(site, tmp_path, monkeypatch):
    monkeypatch.setattr("progeo_core.fleet.push._BATCH", 25)
    store = open_fleet(str(tmp_path / "fleet"), MODEL)
    session = session_of_map(site, "ada")
    assert (session.key, session.lineage) == ("ada/site", site.lineage)
    acknowledged = []

    def advance(count):
        acknowledged.append(count)
        (tmp_path / "fleet").rename(tmp_path / "away")

    with pytest.raises(
        DataError, match="fleet: a file of the store is missing: bring the store back"
    ):
        push_map(site, store, session, advance=advance)
    # A folder comes back empty, as where a disk is mounted.
    shutil.rmtree(tmp_path / "fleet", ignore_errors=True)
    (tmp_path / "away").rename(tmp_path / "fleet")
    assert (acknowledged, store.info().places) == ([25], 25)
    report = push_map(site, store, session)
    assert (report.added, report.known) == (PLACES - 25, 25)
    assert push_map(site, store, session).added == 0
    extra = some_places().places
    site.append(extra._replace(image=[f"new{name}" for name in extra.image]), np.ones((PLACES, 16)))
    assert push_map(site, store, session).added == PLACES
    assert store.info().places == 2 * PLACES


def test_a_wrong_clock_is_told_and_nothing_is_lost(site, tmp_path, caplog):
    places = some_places(count=3).places
    next_year = time.time_ns() + 365 * 86_400 * 10**9
    site.append(places._replace(stamp_ns=np.array([next_year, 0, 1])), np.ones((3, 16)))
    store = open_fleet(str(tmp_path / "fleet"), MODEL)
    with caplog.at_level(logging.WARNING, "progeo_core"):
        report = push_map(site, store, session_of_map(site, "ada"))
    assert report.added == PLACES + 3
    # Those of the fixture are of 1970.
    assert report.unlikely_stamps == PLACES - 1 + 2
    assert "61 places have stamps in the future or before 2000" in caplog.text


def test_maps_that_no_fleet_can_take_are_refused(tmp_path):
    with (
        PlaceMap.create(tmp_path / "local.progeo", MODEL) as place_map,
        pytest.raises(UsageError, match="has no datum"),
    ):
        session_of_map(place_map, "ada")
