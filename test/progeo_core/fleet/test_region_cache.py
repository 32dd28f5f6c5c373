"""Regions that a robot needs next, and the files that hold them."""

import os

import pytest

from progeo_core.errors import DataError
from progeo_core.fleet.region_cache import RegionCache
from progeo_core.geo import Datum, enu_from_wgs84, wgs84_from_enu

START, RADIUS_M = Datum(48.1, 11.5), 100.0


def at(east_m):
    lat, lon, _ = wgs84_from_enu([[east_m, 0.0, 0.0]], START)[0]
    return lat, lon


def east_of(region):
    return enu_from_wgs84([region.center], START)[0, 0]


@pytest.fixture
def cache(tmp_path):
    return RegionCache(tmp_path, "s3://fleet/places", "ada", RADIUS_M)


def test_regions_lie_ahead_of_a_robot_that_drives(cache):
    first = cache.due(*at(0.0), 0.0)
    assert east_of(first) == pytest.approx(0.0, abs=0.01)
    # Until the store has answered, it is asked again.
    assert cache.due(*at(1.0), 1.0) is not None
    cache.answered(first, 1.0)
    assert [cache.due(*at(east_m), 2.0) for east_m in (10.0, 30.0, 49.0)] == [None] * 3
    assert east_of(cache.due(*at(51.0), 3.0)) == pytest.approx(51.0 + 25.0, abs=0.1)


def test_a_robot_that_was_carried_gets_the_region_where_it_is(cache):
    cache.answered(cache.due(*at(0.0), 0.0), 0.0)
    assert east_of(cache.due(*at(5000.0), 1.0)) == pytest.approx(5000.0, abs=0.1)


def test_the_same_region_is_renewed_after_a_while(cache):
    first = cache.due(*at(0.0), 0.0)
    cache.answered(first, 0.0)
    assert cache.due(*at(0.0), 599.0) is None
    assert cache.due(*at(0.0), 601.0) == first


def test_a_region_is_never_written_over_the_one_in_use(cache, tmp_path):
    assert cache.newest() is None
    first = cache.target(None)
    first.write_bytes(b"1")
    second = cache.target(first)
    assert (second != first, second.parent) == (True, first.parent)
    second.write_bytes(b"2")
    os.utime(first, ns=(1, 1))
    assert cache.newest() == second
    assert cache.target(second) == first
    assert not first.exists()
    others = [RegionCache(tmp_path, "s3://fleet/places", "bob", RADIUS_M)]
    others.append(RegionCache(tmp_path, "s3://fleet/others", "ada", RADIUS_M))
    assert [one.newest() for one in others] == [None, None]
    (tmp_path / "full").write_text("no folder")
    with pytest.raises(DataError, match=r"cannot be kept here.*fleet\.cache_folder"):
        RegionCache(tmp_path / "full", "uri", "ada", RADIUS_M).target(None)
