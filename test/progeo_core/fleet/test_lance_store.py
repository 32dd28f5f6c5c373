"""A fleet's store on a real LanceDB in a folder."""

import re
import resource
import shutil
import threading
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from moto.server import ThreadedMotoServer

from progeo_core.descriptors.fingerprint import ModelFingerprint
from progeo_core.errors import DataError, ModelMismatchError, UsageError
from progeo_core.fleet import lance_rows, lance_store
from progeo_core.fleet.lance_store import open_fleet
from progeo_core.fleet.region import Region
from test.fleet_kills import PROGRAMS, kill_all
from test.fleet_places import MODEL, PLACES, SESSION, some_places

# LanceDB takes a second to import.
pytestmark = pytest.mark.slow


def held(store, region=None):
    return [one for block in store.region(region, content=False) for one in block.ids]


@pytest.fixture
def store(tmp_path):
    return open_fleet(str(tmp_path / "fleet"), MODEL)


def test_region_returns_what_was_appended_once(store):
    given = some_places()
    assert (store.append(SESSION, given), store.append(SESSION, given)) == (PLACES, 0)
    (found,) = store.region(Region.near(48.1, 11.5, 105.0))
    assert found.places.image == [f"{number}.jpg" for number in range(11)]
    assert found.places.thumbnail == list(given.places.thumbnail[:11])
    np.testing.assert_array_equal(found.descriptors, given.descriptors[:11])
    np.testing.assert_allclose(found.places.position, given.places.position[:11])
    view, wanted = found.places.views[1], given.places.views[1]
    assert found.places.views[0] is None
    assert view.intrinsics == wanted.intrinsics
    np.testing.assert_array_equal(view.features.descriptors, wanted.features.descriptors)
    np.testing.assert_allclose(view.features.landmarks, wanted.features.landmarks, atol=1e-5)
    assert not list(store.region(Region.near(-48.1, 11.5, 105.0)))


def test_dropped_places_stay_away_and_are_told(store):
    given = some_places()
    store.append(SESSION, given)
    before = store.info().version
    store.compact(given.ids[:2])
    assert store.append(SESSION, given) == 0
    assert held(store) == given.ids[2:]
    changes = store.since(before)
    assert (set(changes.gone), changes.added.ids) == (set(given.ids[:2]), [])
    assert store.since(0).added.ids == given.ids[2:]
    matches = store.nearest(given.descriptors[7], PLACES)
    assert matches.places.places.image[0] == "7.jpg"
    assert not set(matches.places.ids) & set(given.ids[:2])
    info = store.info()
    assert (info.places, info.dropped, info.cameras, info.sessions) == (58, 2, 1, (SESSION,))


def test_another_writer_is_seen_and_adds_nothing_twice(store):
    other = open_fleet(store.uri)
    given = some_places()
    store.append(SESSION, given)
    assert other.append(SESSION, given) == 0
    bob = SESSION._replace(robot="bob")
    assert other.append(bob, some_places(bob)) == PLACES
    assert len(set(held(store))) == 2 * PLACES


def test_other_models_maps_and_stores_are_refused_by_name(store, tmp_path):
    store.append(SESSION, some_places())
    with pytest.raises(ModelMismatchError, match=r"made with fleet .* map with other"):
        open_fleet(store.uri, ModelFingerprint("other", 16, "none", "00" * 32))
    with pytest.raises(UsageError, match="another robot has that name"):
        store.append(SESSION._replace(lineage="1" * 16), some_places())
    with pytest.raises(DataError, match="there is no fleet's store"):
        open_fleet(str(tmp_path / "missing"))
    assert not (tmp_path / "missing").exists()
    with pytest.raises(UsageError, match="credentials belong in the environment") as refused:
        open_fleet("s3://key:secret@bucket/fleet")
    assert "secret" not in str(refused.value)


def test_two_writers_of_the_same_places_at_a_time_add_them_once(store):
    given = some_places()
    store.append(SESSION, given.rows(range(10)))
    # Makes an index of ids; what is added later is not in it.
    store.compact()
    both = threading.Barrier(2)
    added = []

    def write():
        own = open_fleet(store.uri)
        for row in range(10, PLACES, 10):
            both.wait()
            added.append(own.append(SESSION, given.rows(range(row, row + 10))))

    writers = [threading.Thread(target=write) for _ in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert PLACES - 10 <= sum(added) <= 2 * (PLACES - 10)
    assert sorted(held(store)) == sorted(given.ids)
    assert store.info().places == PLACES


def test_what_a_killed_writer_left_twice_is_read_once_and_mended_by_the_next(store):
    given = some_places()
    twice = lance_rows.table_of_places(given.rows(range(20)), lance_rows.place_schema(MODEL))
    store.append(SESSION, given.rows(range(20)))
    store._places.add(twice)
    assert store.info().places == 40
    assert sorted(held(store)) == sorted(store.since(0).added.ids) == sorted(given.ids[:20])
    matches = store.nearest(given.descriptors[7], PLACES)
    assert (len(matches.similarity), matches.places.places.image[0]) == (20, "7.jpg")
    assert store.append(SESSION, given) == PLACES - 20
    assert store.info().places == PLACES
    store._places.add(twice)
    store.compact([given.ids[0]])
    assert store.info()[1:3] == (PLACES - 1, 1)
    assert sorted(held(store)) == sorted(given.ids[1:])


def test_the_index_of_descriptors_grows_with_the_store(store, monkeypatch):
    monkeypatch.setattr(lance_store, "_MIN_INDEXED", 400)
    given = some_places(count=2500)
    for rows in (range(450), range(2500)):
        store.append(SESSION, given.rows(rows))
        store.compact()
        assert store.info().indexed == len(rows)
    for row in (3, 2400):
        assert store.nearest(given.descriptors[row], 1).places.ids == [given.ids[row]]


def test_a_full_disk_is_told_and_costs_nothing_that_was_kept(store):
    given = some_places(count=1000)
    store.append(SESSION, given.rows(range(20)))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(DataError, match="fleet: the disk is full"):
            store.append(SESSION, given)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert held(store) == given.ids[:20]
    assert store.append(SESSION, given) == 980


@pytest.mark.parametrize("left", [0, 100])
def test_a_version_that_a_power_cut_left_is_named_and_the_one_before_it_stays(store, left):
    given = some_places()
    for rows in (range(20), range(20, 40)):
        store.append(SESSION, given.rows(rows))
    newest = min(Path(store.uri, "places.lance", "_versions").glob("*.manifest"))
    newest.write_bytes(newest.read_bytes()[:left])
    named = re.escape(f"remove {newest} and")
    with pytest.raises(DataError, match=f"newest version is cut short, .*{named}"):
        open_fleet(store.uri).info()
    newest.unlink()
    mended = open_fleet(store.uri)
    assert held(mended) == given.ids[:20]
    assert (mended.append(SESSION, given), len(held(mended))) == (40, PLACES)


def test_a_store_that_goes_while_it_is_read_is_named(store):
    store.append(SESSION, some_places())
    blocks = store.region(None)
    shutil.rmtree(store.uri)
    with pytest.raises(
        DataError, match="fleet: a file of the store is missing: bring the store back"
    ):
        next(blocks)
    with pytest.raises(
        DataError, match="fleet: a file of the store is missing: bring the store back"
    ):
        store.nearest(np.ones(MODEL.dimension), 1)


def test_programs_that_are_killed_lose_and_double_nothing(tmp_path):
    killed = kill_all(tmp_path, np.random.default_rng(), PROGRAMS[2:5])
    assert killed.acknowledged
    assert killed.lost == 0


def test_a_store_in_an_object_store_keeps_its_secrets(tmp_path, monkeypatch):
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        address = "http://{}:{}".format(*server.get_host_and_port())
        for name, value in {
            "AWS_ACCESS_KEY_ID": "robot",
            "AWS_SECRET_ACCESS_KEY": "hidden",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT": address,
            "AWS_ALLOW_HTTP": "true",
        }.items():
            monkeypatch.setenv(name, value)
        with pytest.raises(DataError) as refused:
            open_fleet("s3://missing/places", MODEL)
        assert "hidden" not in str(refused.value)
        urllib.request.urlopen(urllib.request.Request(f"{address}/fleet", method="PUT")).close()
        store = open_fleet("s3://fleet/places", MODEL)
        given = some_places()
        assert (store.append(SESSION, given), store.append(SESSION, given)) == (PLACES, 0)
        store.compact(given.ids[:1])
        assert held(open_fleet(store.uri)) == given.ids[1:]
    finally:
        server.stop()
