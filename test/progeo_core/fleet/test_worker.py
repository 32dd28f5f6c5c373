"""A robot's link over a real store, in a real process."""

import dataclasses
import json
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest

from progeo_core.fleet.lance_store import open_fleet
from progeo_core.fleet.push import FROM_RECORDS, session_of_map
from progeo_core.fleet.robot_fleet import FleetSettings, RobotFleet
from progeo_core.fleet.store import fleet_places
from progeo_core.fleet.worker import Worker
from progeo_core.geo import Datum
from progeo_core.map.place_map import PlaceMap
from test.fleet_places import MODEL, SESSION, some_places

pytestmark = pytest.mark.slow

PLACES = 300


@pytest.fixture
def uri(tmp_path):
    store = open_fleet(str(tmp_path / "fleet"), MODEL)
    store.append(SESSION, some_places())
    return store.uri


@pytest.fixture
def link(uri, tmp_path):
    """Return what makes links of one robot, as after restarts."""
    links = []

    def make():
        settings = FleetSettings(robot="bob", cache_folder=str(tmp_path / "cache"), radius_m=101.0)
        links.append(RobotFleet(uri, settings))
        return links[-1]

    yield make
    for one in links:
        one.close()


def test_a_robot_gets_regions_and_its_places_survive_its_restarts(uri, link, tmp_path):
    first = link()
    first.open()
    assert first.model == MODEL
    datum = Datum(48.1, 11.501, 400.0)
    pulled = first.next_region(Datum(48.1, 11.5), datum, None)
    assert pulled.places == 11
    with PlaceMap.open(pulled.path) as region:
        assert (len(region), region.datum) == (11, datum)
    first.taken(pulled)
    assert first.next_region(Datum(0.0, 0.0), datum, pulled.path) is None
    assert (first.counts().empty_regions, first.counts().pull_failures) == (1, 0)
    assert first.regions_like(some_places().descriptors[59], 20.0)[0].contains(
        some_places().geodetic[59:]
    )
    # Twenty places were there before this robot mapped.
    given = some_places(count=PLACES + 20)
    own = tmp_path / "own.progeo"
    with PlaceMap.create(own, MODEL, SESSION.datum) as place_map:
        place_map.append(given.places, given.descriptors)
        first.share(own, place_map.lineage, 20)
    first.upload(own, 290)
    assert first.counts()[5:7] == (256, PLACES - 256)
    first.close()
    second = link()
    for _ in range(3):
        second.upload(own, 290)
    # The first 20 of those it knows already; 31 are not final.
    assert second.counts()[5:7] == (269, 31)
    second.upload(None, None)
    sessions = [key for one in open_fleet(uri).region(None) for key in one.sessions]
    assert sessions.count("bob/own") == 269


def test_what_goes_wrong_is_answered_by_its_kind(uri, tmp_path):
    worker = Worker(uri)
    pull = {"job": "pull", "lat_deg": 0.0, "lon_deg": 0.0, "target": str(tmp_path / "a.progeo")}
    query = {"job": "nearest", "descriptor": np.ones(16).tolist(), "count": 3}
    assert len(json.loads(json.dumps(worker.answer(query)))["similarity"]) == 3
    empty = worker.answer({**pull, "radius_m": 10.0, "datum": []})
    assert empty["kind"] == "EmptyRegionError"
    assert "the nearest session, 'ada/site'" in empty["error"]
    assert worker.answer({**pull, "radius_m": -1.0, "datum": []})["kind"] == "UsageError"
    count = {"job": "count", "map_path": str(tmp_path / "own.progeo"), "after": 0}
    assert worker.answer(count.copy())["kind"] == "DataError"
    with PlaceMap.create(tmp_path / "own.progeo", MODEL):
        pass
    assert worker.answer(count.copy()) == {"waiting": 0, "has_datum": False}
    other = dataclasses.replace(MODEL, weights_sha256="11" * 32)
    with PlaceMap.create(tmp_path / "other.progeo", other, SESSION.datum):
        pass
    push = {**count, "job": "push", "map_path": str(tmp_path / "other.progeo"), "robot": "bob"}
    assert worker.answer({**push, "before": None})["kind"] == "ModelMismatchError"


def test_a_map_goes_on_with_what_was_built_from_its_records(uri, tmp_path):
    given = some_places(count=30)
    own = tmp_path / "own.progeo"
    with PlaceMap.create(own, MODEL, SESSION.datum) as place_map:
        place_map.append(given.places, given.descriptors)
        session = session_of_map(place_map, "bob")
        built = session._replace(lineage=FROM_RECORDS)
        store = open_fleet(uri)
        first = fleet_places(built, given.places, given.descriptors, Counter()).rows(range(10))
        assert store.append(built, first) == 10
    push = {"job": "push", "map_path": str(own), "robot": "bob", "after": 0, "before": None}
    assert Worker(uri).answer(push) == {"upto": 30, "shared": 30, "waiting": 0}
    sessions = [key for one in store.region(None) for key in one.sessions]
    assert sessions.count("bob/own") == 30


def test_the_process_loads_no_network_and_no_ros():
    code = (
        "import sys, progeo_core.fleet.worker;"
        "sys.exit(bool({'torch', 'onnxruntime', 'rclpy'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
