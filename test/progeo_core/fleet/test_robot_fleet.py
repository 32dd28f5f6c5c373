"""A robot's link to a store, which is a table of answers here: what is asked, counted and told."""

import dataclasses
import logging

import numpy as np
import pytest

from progeo_core.descriptors.fingerprint import ModelFingerprint
from progeo_core.errors import DataError, MissingDependencyError, ModelMismatchError, UsageError
from progeo_core.fleet.pull import EmptyRegionError
from progeo_core.fleet.robot_fleet import FleetSettings, RobotFleet, discard
from progeo_core.geo import Datum

MODEL = ModelFingerprint("fleet", 16, "none", "00" * 32)
HERE = Datum(48.1, 11.5)


class Fleet:
    """Link whose store gives prepared answers; what it was asked is kept."""

    def __init__(self, folder, monkeypatch, **settings):
        self.now = 1000.0
        monkeypatch.setattr("time.monotonic", lambda: self.now)
        settings = {"robot": "ada", "cache_folder": str(folder), **settings}
        self.link = RobotFleet("s3://key:secret@fleet/places?token=1", FleetSettings(**settings))
        self.asked, self.answers = [], {}
        monkeypatch.setattr(self.link._store, "ask", self._ask)

    def _ask(self, limit_s, **request):
        assert limit_s > 0
        self.asked.append(request)
        answer = self.answers[request["job"]]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def next(self, datum=None):
        return self.link.next_region(HERE, datum, None)


@pytest.fixture
def fleet(tmp_path, monkeypatch):
    return Fleet(tmp_path, monkeypatch)


def test_a_store_of_another_model_is_refused_by_name_and_one_that_is_away_is_not(fleet, caplog):
    fleet.answers["open"] = DataError("the object store cannot be reached")
    with caplog.at_level(logging.WARNING, "progeo_core"):
        fleet.link.open()
    assert "what is here stays in use: the object store cannot be reached" in caplog.text
    other = ModelFingerprint("other", 16, "none", "11" * 32)
    fleet.link.require_model(other)
    fleet.answers["open"] = {"model": dataclasses.asdict(MODEL), "version": 1}
    fleet.link.open()
    fleet.link.require_model(MODEL)
    with pytest.raises(ModelMismatchError, match=r"was made with fleet.*, the node has other"):
        fleet.link.require_model(other)
    for refusal in (UsageError("credentials belong"), MissingDependencyError("LanceDB")):
        fleet.answers["open"] = refusal
        with pytest.raises(type(refusal)):
            fleet.link.open()


def test_nothing_secret_of_the_address_is_shown(fleet):
    assert fleet.link.uri == "s3://…@fleet/places"


def test_the_next_region_is_in_the_frame_of_the_one_in_use(fleet):
    fleet.answers["pull"] = {"places": 7, "version": 5}
    assert fleet.link.next_region(None, None, None) is None
    pulled = fleet.next(Datum(48.0, 11.5, 500.0))
    assert (pulled.places, fleet.asked[-1]["datum"]) == (7, [48.0, 11.5, 500.0])
    fleet.link.taken(pulled)
    assert fleet.next() is None
    assert fleet.link.counts()[:2] == ("500 m around 48.1,11.5", 1)
    # Metres of a town that is far away are not those of the ground here.
    fleet.link.cache.region = None
    fleet.next(Datum(52.5, 13.4, 30.0))
    assert fleet.asked[-1]["datum"] == []


def test_a_region_in_which_nothing_changed_is_not_read_again(fleet):
    fleet.answers = {"pull": {"places": 7, "version": 5}, "open": {"version": 5}}
    fleet.link.taken(fleet.next())
    fleet.now += 601.0
    assert fleet.next() is None
    fleet.now += 601.0
    fleet.answers["open"] = {"version": 6}
    assert fleet.next() is not None


def test_failures_are_counted_told_once_and_tried_again_later(fleet, caplog):
    fleet.answers["pull"] = DataError("the disk is full")
    with caplog.at_level(logging.WARNING, "progeo_core"):
        for _ in range(3):
            assert fleet.next() is None
            fleet.now += 4.0
    assert len(fleet.asked) == 2
    assert caplog.text.count("the disk is full") == 1
    assert fleet.link.counts().pull_failures == 2
    fleet.now += 100.0
    fleet.answers["pull"] = {"places": 1, "version": 1}
    pulled = fleet.next()
    pulled.path.write_bytes(b"")
    fleet.link.refused(pulled, DataError("damaged"))
    assert not pulled.path.exists()
    discard(pulled)
    assert fleet.link.counts().pull_fault == "damaged"


def test_a_region_with_nothing_in_it_leaves_the_last_one_in_use(fleet):
    fleet.answers["pull"] = EmptyRegionError("there is no place within")
    assert fleet.next() is None
    assert fleet.next() is None
    assert len(fleet.asked) == 1
    counts = fleet.link.counts()
    assert (counts.empty_regions, counts.pull_failures, counts.regions) == (1, 0, 0)


def test_places_go_up_in_batches_and_count_once_they_are_acknowledged(fleet, tmp_path):
    yard = tmp_path / "yard.progeo"
    yard.write_bytes(b"")
    fleet.link.share(yard, "aa", 20)
    fleet.answers["count"] = {"waiting": 300, "has_datum": True}
    fleet.answers["push"] = DataError("away")
    fleet.link.upload(yard, 500)
    assert fleet.asked[-1] == {
        "job": "push",
        "robot": "ada",
        "map_path": str(yard),
        "after": 20,
        "before": 500,
    }
    counts = fleet.link.counts()
    assert (counts.shared, counts.waiting, counts.push_failures) == (0, 300, 1)
    fleet.now += 6.0
    fleet.answers["push"] = {"upto": 276, "shared": 256, "waiting": 44}
    fleet.link.upload(yard, None)
    fleet.answers["push"] = {"upto": 320, "shared": 44, "waiting": 0}
    fleet.link.upload(None, None)
    assert fleet.asked[-1]["after"] == 276
    counts = fleet.link.counts()
    assert (counts.shared, counts.waiting, counts.push_fault) == (300, 0, "")
    fleet.answers["count"] = {"waiting": 0, "has_datum": True}
    fleet.link.upload(None, None)
    asked = len(fleet.asked)
    fleet.now += 6.0
    fleet.link.upload(None, None)
    assert len(fleet.asked) == asked


def test_a_map_that_cannot_go_up_keeps_no_other_waiting(fleet, tmp_path):
    gone, dock = tmp_path / "gone.progeo", tmp_path / "dock.progeo"
    dock.write_bytes(b"")
    fleet.link.share(gone, "aa", 0)
    fleet.link.share(dock, "bb", 0)
    fleet.answers["count"] = {"waiting": 1, "has_datum": True}
    fleet.answers["push"] = {"upto": 1, "shared": 1, "waiting": 0}
    fleet.link.upload(None, None)
    assert fleet.link.counts().shared == 1
    assert fleet.link.counts().push_failures == 1
    fleet.link.unshare(gone)
    fleet.link.unshare(dock)
    fleet.now += 600.0
    fleet.link.upload(None, None)
    assert len(fleet.asked) == 2


def test_a_map_without_a_datum_is_told_once_and_is_no_failure(fleet, tmp_path, caplog):
    yard = tmp_path / "yard.progeo"
    yard.write_bytes(b"")
    fleet.link.share(yard, "aa", 0)
    with caplog.at_level(logging.WARNING, "progeo_core"):
        for waiting in (0, 3, 8):
            fleet.answers["count"] = {"waiting": waiting, "has_datum": False}
            fleet.link.upload(yard, 9)
            fleet.now += 6.0
    assert caplog.text.count("yard.progeo: its places are not shared with the fleet") == 1
    counts = fleet.link.counts()
    assert (counts.without_datum, counts.waiting, counts.push_failures) == (8, 0, 0)
    # Once it is closed, nothing of it is left to do.
    fleet.link.upload(None, None)
    fleet.now += 6.0
    fleet.link.upload(None, None)
    assert {one["job"] for one in fleet.asked} == {"count"}
    assert (len(fleet.asked), fleet.link.counts().without_datum) == (4, 8)


def test_regions_like_an_image_are_distinct_and_few(fleet):
    points = [[48.1, 11.5], [48.1001, 11.5], [50.0, 8.0], [40.0, 8.0], [41.0, 8.0], [48.1, 11.5]]
    fleet.answers["nearest"] = {"geodetic": points, "similarity": [1.0] * 6}
    regions = fleet.link.regions_like(np.ones(16, np.float32), 5.0)
    assert [one.center[:2] for one in regions] == [(48.1, 11.5), (50.0, 8.0), (40.0, 8.0)]


def test_names_and_positions_that_are_none_are_refused(tmp_path, monkeypatch):
    with pytest.raises(UsageError, match="robot 'a/b'"):
        Fleet(tmp_path, monkeypatch, robot="a/b")
    with pytest.raises(UsageError, match="give it as LAT,LON"):
        Fleet(tmp_path, monkeypatch, near="here")
