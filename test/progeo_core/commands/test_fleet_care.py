"""Looking at a fleet's store, and after it."""

import csv
import json

import pytest

from progeo_core.fleet.lance_store import open_fleet
from test.fleet_places import MODEL, PLACES, SESSION, some_places

pytestmark = pytest.mark.slow


@pytest.fixture
def uri(tmp_path):
    store = open_fleet(str(tmp_path / "fleet"), MODEL)
    for name in ("ada", "bob"):
        session = SESSION._replace(robot=name)
        store.append(session, some_places(session))
    return store.uri


def test_prune_compact_export_and_info_agree(progeo, uri, tmp_path):
    done = progeo("fleet", "prune", uri)
    assert f"redundant {PLACES}" in " ".join(done.out.split())
    assert progeo("fleet", "compact", uri).code == 0
    shown = json.loads(progeo("fleet", "info", uri, "--json").out)
    assert (shown["schema"], shown["places"], shown["dropped"]) == (1, PLACES, PLACES)
    assert [one["robot"] for one in shown["sessions"]] == ["ada", "bob"]
    assert shown["model"]["architecture"] == MODEL.architecture
    assert "2 of 2 robots" in progeo("fleet", "info", uri).out
    table = tmp_path / "places.csv"
    assert progeo("fleet", "export", uri, "--format", "csv", "--out", table).code == 0
    with table.open(newline="") as file:
        assert {row["traverse"] for row in csv.DictReader(file)} <= {"ada/site/lap", "bob/site/lap"}


def test_info_of_one_robot_is_in_the_singular(progeo, tmp_path):
    store = open_fleet(str(tmp_path / "fleet"), MODEL)
    store.append(SESSION, some_places(SESSION))
    assert "1 of 1 robot " in " ".join(progeo("fleet", "info", store.uri).out.split()) + " "
