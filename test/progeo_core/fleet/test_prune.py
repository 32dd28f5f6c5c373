"""Pruning a fleet's store: the newest look of a place stays, whichever robot had it."""

import time

import numpy as np
import pytest

from progeo_core.fleet.lance_store import open_fleet
from progeo_core.fleet.prune import prune_fleet
from progeo_core.map.prune import PruneSettings
from test.fleet_places import MODEL, PLACES, SESSION, some_places

pytestmark = pytest.mark.slow


def test_the_newest_of_equal_places_stays(tmp_path):
    store = open_fleet(str(tmp_path / "fleet"), MODEL)
    old, bob, eve = (SESSION._replace(robot=name) for name in ("ada", "bob", "eve"))
    years = {"ada": 2, "bob": 1, "eve": -1}  # the last one's clock is a year ahead
    given = {}
    for session in (bob, eve, old):
        places = some_places(session)
        age_ns = years[session.robot] * 365 * 86_400 * 10**9
        stamps = np.full(PLACES, time.time_ns() - age_ns)
        given[session.robot] = places._replace(places=places.places._replace(stamp_ns=stamps))
        store.append(session, given[session.robot])
    report = prune_fleet(store, PruneSettings())
    assert (report.before, report.redundant, report.after) == (3 * PLACES, 2 * PLACES, PLACES)
    kept = {one for block in store.region(None) for one in block.ids}
    assert kept == set(given["bob"].ids)
    assert store.append(old, given["ada"]) == 0
