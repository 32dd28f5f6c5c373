import numpy as np
import pytest

from progeo_core.errors import DataError
from progeo_core.geo import Datum, enu_from_wgs84, utm_from_wgs84
from progeo_core.records.zoneless_utm import enu_from_zoneless_utm, matched_zone

DATUM = Datum(48.0, 11.0, 500.0)


def test_metres_near_the_datum_are_turned():
    places = [[48.01, 11.01, 520.0], [47.99, 10.99, 500.0]]
    utm = [utm_from_wgs84(*place[:2]) for place in places]
    metres = np.array(
        [[one.east_m, one.north_m, height] for one, (_, _, height) in zip(utm, places, strict=True)]
    )
    found = enu_from_zoneless_utm(metres, DATUM)
    assert found is not None
    np.testing.assert_allclose(found.position, enu_from_wgs84(places, DATUM), atol=1e-3)
    # Grid north is 1.49° east of north here, 2° east of the zone's meridian.
    convergence = np.arctan(np.tan(np.radians(2.0)) * np.sin(np.radians(48.0)))
    np.testing.assert_allclose(found.turn_rad, -convergence, atol=5e-4)


@pytest.mark.parametrize(
    "position",
    [[[10.0, 20.0, 0.0]], [[691_000.0, 1_000_000.0, 0.0]], [[1e9, 1e9, 0.0]], np.empty((0, 3))],
)
def test_other_metres_are_left_alone(position):
    assert enu_from_zoneless_utm(np.array(position), DATUM) is None


def test_a_polar_datum_has_no_zone():
    assert enu_from_zoneless_utm(np.array([[5e5, 9e6, 0.0]]), Datum(89.0, 0.0)) is None


def zones(*values):
    return np.array(values, np.int8)


NEAR, FAR = np.array([[5e5, 4e6]] * 2), np.array([[10.0, 20.0]] * 2)


def test_a_missing_zone_is_that_of_the_others(caplog):
    assert matched_zone("queries", zones(0, 0), NEAR, zones(-33, -33), NEAR).tolist() == [-33, -33]
    assert "queries: the names have no UTM zone; they are taken to be in -33" in caplog.text


def test_known_zones_and_local_metres_stay():
    assert matched_zone("queries", zones(32, 33), NEAR, zones(32, 32), NEAR).tolist() == [32, 33]
    assert matched_zone("queries", zones(0, 0), FAR, zones(0, 0), FAR).tolist() == [0, 0]


@pytest.mark.parametrize(("known", "position"), [((32, 33), NEAR), ((32, 32), FAR)])
def test_what_cannot_be_matched_is_refused(known, position):
    with pytest.raises(DataError, match="queries: the names have no UTM zone, but those"):
        matched_zone("queries", zones(0, 0), position, zones(*known), NEAR)
