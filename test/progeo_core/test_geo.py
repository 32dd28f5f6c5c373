import math

import numpy as np
import pyproj
import pytest
from hypothesis import given
from hypothesis import strategies as st

from progeo_core.errors import DataError, UsageError
from progeo_core.geo import (
    Datum,
    enu_from_wgs84,
    heading_from_yaw,
    is_fix,
    known_altitude,
    parse_datum,
    utm_from_wgs84,
    utm_in_zone,
    wgs84_from_enu,
    wgs84_from_utm,
    wrap_angle,
    yaw_from_heading,
)

METRES_PER_DEGREE = 111_320.0
COLUMNS = ("east_m", "north_m")

utm_latitudes = st.floats(-80.0, 84.0)
longitudes = st.floats(-180.0, 180.0)
angles = st.floats(-1e4, 1e4)


def metres_apart(a, b):
    """Distance on a sphere, near enough for points that should be equal."""
    turn = (b[1] - a[1] + 180.0) % 360.0 - 180.0
    east = turn * math.cos(math.radians(a[0])) * METRES_PER_DEGREE
    return math.hypot((b[0] - a[0]) * METRES_PER_DEGREE, east)


@given(utm_latitudes, longitudes)
def test_utm_round_trip_is_exact_to_a_millimetre_everywhere(lat, lon):
    utm = utm_from_wgs84(lat, lon)
    back = wgs84_from_utm(*utm)
    assert metres_apart((lat, lon), (float(back[0]), float(back[1]))) < 1e-3


@given(utm_latitudes, st.integers(0, 60), st.sampled_from([-1e-9, 0.0, 1e-9]))
def test_utm_round_trip_at_zone_borders(lat, border, offset):
    lon = min(180.0, max(-180.0, border * 6.0 - 180.0 + offset))
    back = wgs84_from_utm(*utm_from_wgs84(lat, lon))
    assert metres_apart((lat, lon), (float(back[0]), float(back[1]))) < 1e-3


@pytest.mark.parametrize(
    ("lat", "lon", "zone", "letter"),
    [
        (37.7749, -122.4194, 10, "S"),
        (-33.8568, 151.2153, 56, "H"),
        (60.39, 5.32, 32, "V"),  # Bergen: zone 32 reaches west over Norway
        (55.99, 5.32, 31, "U"),
        (78.22, 15.63, 33, "X"),  # Longyearbyen: Svalbard has four wide zones
        (78.0, 8.99, 31, "X"),
        (78.0, 21.0, 35, "X"),
        (78.0, 41.9, 37, "X"),
        (78.0, 42.0, 38, "X"),
        (0.0, 0.0, 31, "N"),
        (-1e-9, 0.0, 31, "M"),
        (10.0, 180.0, 1, "P"),
        (10.0, -180.0, 1, "P"),
        (84.0, 0.0, 31, "X"),
        (-80.0, 0.0, 31, "C"),
    ],
)
def test_utm_zone_and_letter(lat, lon, zone, letter):
    assert utm_from_wgs84(lat, lon)[2:] == (zone, letter)


def test_utm_distances_are_those_on_the_ellipsoid():
    # Karney's geodesics against PROJ's transverse Mercator, whose scale is 0.9996 in mid-zone.
    start, end = (37.70, -123.0), (37.71, -122.99)
    a, b = utm_from_wgs84(*start), utm_from_wgs84(*end)
    geodesic = pyproj.Geod(ellps="WGS84").line_length([start[1], end[1]], [start[0], end[0]])
    grid = math.hypot(b.east_m - a.east_m, b.north_m - a.north_m)
    assert grid / geodesic == pytest.approx(0.9996, abs=1e-6)
    assert a.east_m == pytest.approx(500_000.0, abs=1e-3)


def test_northing_starts_again_in_the_south():
    assert utm_from_wgs84(-1e-6, 3.0).north_m == pytest.approx(1e7, abs=1.0)
    assert utm_from_wgs84(1e-6, 3.0).north_m == pytest.approx(0.0, abs=1.0)


def test_utm_takes_arrays_of_one_zone():
    east, north = np.array([[500_000.0, 510_000.0]]), np.array([[4e6, 4.1e6]])
    lat, lon = wgs84_from_utm(east, north, 10, "S")
    assert lat.shape == lon.shape == (1, 2)
    assert lon[0, 0] == pytest.approx(-123.0)  # the central meridian of zone 10


@pytest.mark.parametrize(
    ("lat", "lon", "words"),
    [
        (math.nan, 0.0, "latitude nan"),
        (0.0, math.inf, "longitude inf"),
        (91.0, 0.0, "latitude 91.0: must be degrees from -90 to 90"),
        (0.0, -180.1, "longitude -180.1"),
        (84.5, 0.0, "UTM covers 80° south to 84° north"),
        (-80.5, 0.0, "UTM covers"),
    ],
)
def test_utm_refuses_what_is_no_place(lat, lon, words):
    with pytest.raises(DataError, match=words):
        utm_from_wgs84(lat, lon)


@pytest.mark.parametrize(
    ("east", "north", "zone", "letter", "words"),
    [
        (5e5, 4e6, 0, "S", "UTM zone 0S"),
        (5e5, 4e6, 61, "S", "UTM zone 61S"),
        (5e5, 4e6, 10, "I", "UTM zone 10I"),
        (5e5, 4e6, 10, "", "UTM zone 10:"),
        (math.nan, 4e6, 10, "S", "not metres of a UTM zone"),
        (5e5, 1e12, 10, "S", "not metres of a UTM zone"),
        (334_873, 6_252_266, 56, "S", "zone 56S is latitude 56.3861, .* if S means south, write H"),
        (5e5, 4e6, 10, "H", "which is not in band H$"),
    ],
)
def test_utm_refuses_what_is_no_position(east, north, zone, letter, words):
    with pytest.raises(DataError, match=words):
        wgs84_from_utm(east, north, zone, letter)


def test_a_site_across_a_band_may_use_one_letter_and_n_means_north():
    utm = utm_from_wgs84(39.5, 9.0)
    assert utm.letter == "S"
    for letter in "STN":
        lat, lon = wgs84_from_utm(utm.east_m, utm.north_m, utm.zone, letter)
        assert (float(lat), float(lon)) == pytest.approx((39.5, 9.0), abs=1e-8)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((48.0, 11.9999), (48.0, 12.0001)),  # zones 32 and 33
        ((-0.0001, 9.0), (0.0001, 9.0)),  # either side of the equator
        ((-17.0, 179.9999), (-17.0, -179.9999)),  # zones 60 and 1
        ((0.0001, 5.9999), (-0.0001, 6.0001)),  # both borders at once
    ],
)
def test_neighbours_across_a_border_are_near_in_one_zone(one, other):
    near, far = utm_from_wgs84(*one), utm_from_wgs84(*other)
    zones = np.array([-utm.zone if utm.letter < "N" else utm.zone for utm in (near, far)])
    east, north = (np.array([getattr(utm, axis) for utm in (near, far)]) for axis in COLUMNS)
    in_first = utm_in_zone(east, north, zones, int(zones[0]))
    assert (in_first[0][0], in_first[1][0]) == (east[0], north[0])
    apart = math.hypot(*(np.diff(column)[0] for column in in_first))
    assert apart == pytest.approx(metres_apart(one, other), rel=0.01)


def test_zones_far_apart_and_local_metres_have_no_frame_in_common():
    column = np.array([5e5, 5e5, 5e5, 1.0])
    east, north = utm_in_zone(column, column, np.array([32, 35, -32, 0]), 32)
    assert np.isfinite(east).tolist() == [True, False, True, False]
    assert north[0] == 5e5
    east, _ = utm_in_zone(column, column, np.array([32, 35, -32, 0]), 0)
    assert np.isfinite(east).tolist() == [False, False, False, True]


@pytest.mark.parametrize("lat", [91.0, math.nan])
def test_a_datum_that_is_nowhere_is_refused_wherever_it_comes_from(lat):
    for turn in (enu_from_wgs84, wgs84_from_enu):
        with pytest.raises(UsageError, match="datum latitude"):
            turn([[1.0, 2.0, 3.0]], Datum(lat, 11.0))


def test_a_receiver_without_a_fix():
    assert is_fix(48.0, 11.0)
    assert is_fix(0.0, 11.0)
    assert is_fix(51.5, 0.0)
    assert not is_fix(0.0, 0.0)
    assert not is_fix(-0.0, 0.0)
    assert not is_fix(91.0, 0.0)
    assert not is_fix(math.nan, 11.0)


def test_no_data_is_no_altitude():
    assert math.isnan(known_altitude(-9999.0))
    assert math.isnan(known_altitude(math.nan))
    assert known_altitude(-430.0) == -430.0


@given(
    st.floats(-90.0, 90.0),
    longitudes,
    st.floats(-400.0, 9000.0),
    st.lists(
        st.tuples(st.floats(-5e4, 5e4), st.floats(-5e4, 5e4), st.floats(-500.0, 500.0)), max_size=5
    ),
)
def test_enu_round_trip(lat, lon, alt, points):
    datum = Datum(lat, lon, alt)
    enu = np.array(points).reshape(-1, 3)
    back = enu_from_wgs84(wgs84_from_enu(enu, datum), datum)
    np.testing.assert_allclose(back, enu, atol=1e-3)


def test_enu_axes_point_east_north_and_up():
    datum = Datum(48.137, 11.575, 519.0)
    east, north, up = enu_from_wgs84(
        [[48.137, 11.576, 519.0], [48.138, 11.575, 519.0], [48.137, 11.575, 529.0]], datum
    )
    assert east == pytest.approx([74.43, 0.0, 0.0], abs=0.01)
    assert north == pytest.approx([0.0, 111.2, 0.0], abs=0.02)
    assert up == pytest.approx([0.0, 0.0, 10.0], abs=1e-6)


def test_enu_is_a_tangent_plane_from_which_far_points_sink():
    ten_kilometres_north = wgs84_from_enu([[0.0, 10_000.0, 0.0]], Datum(0.0, 0.0))
    assert ten_kilometres_north[0, 2] == pytest.approx(10_000.0**2 / (2 * 6.36e6), rel=0.02)


def test_unknown_altitude_is_the_datums():
    datum = Datum(48.0, 11.0, 500.0)
    assert enu_from_wgs84([[48.0, 11.0, math.nan]], datum)[0] == pytest.approx([0, 0, 0], abs=1e-6)


def test_unknown_enu_stays_unknown():
    geodetic = wgs84_from_enu([[math.nan, 0.0, 0.0], [0.0, 0.0, 0.0]], Datum(48.0, 11.0, 500.0))
    assert np.isnan(geodetic[0]).all()
    assert geodetic[1] == pytest.approx([48.0, 11.0, 500.0])


def test_enu_names_the_bad_position():
    with pytest.raises(DataError, match=r"latitude nan \(position 1\)"):
        enu_from_wgs84([[1.0, 2.0, 3.0], [math.nan, 2.0, 3.0]], Datum(0.0, 0.0))


def test_datum_takes_numpy_numbers():
    datum = Datum(np.float64(48.0), np.float64(11.0), np.float64(500.0))
    assert enu_from_wgs84([[48.0, 11.0, 500.0]], datum)[0] == pytest.approx([0, 0, 0], abs=1e-6)


def test_parse_datum():
    assert parse_datum("48.137,11.575") == Datum(48.137, 11.575, 0.0)
    assert parse_datum(" -33.8, 151.2, 12.5") == Datum(-33.8, 151.2, 12.5)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("48.137", "give it as LAT,LON"),
        ("48.137;11.575", "give it as LAT,LON"),
        ("1,2,3,4", "give it as LAT,LON"),
        ("north,11", "give it as LAT,LON"),
        ("91,11", "datum latitude 91.0: must be a finite number from -90 to 90"),
        ("nan,11", "datum latitude nan"),
        ("1,181", "datum longitude 181.0"),
        ("1,2,inf", "datum altitude inf: must be a finite number$"),
    ],
)
def test_parse_datum_refuses(text, words):
    with pytest.raises(UsageError, match=words):
        parse_datum(text)


@given(angles)
def test_wrapped_angles_point_the_same_way(angle):
    wrapped = float(wrap_angle(angle))
    assert -math.pi < wrapped <= math.pi
    assert math.cos(wrapped - angle) == pytest.approx(1.0, abs=1e-9)


def test_wrap_keeps_half_a_turn_positive_and_unknown_unknown():
    assert wrap_angle([math.pi, -math.pi, 3 * math.pi]) == pytest.approx([math.pi] * 3)
    assert np.isnan(wrap_angle(math.nan))


@given(angles)
def test_heading_round_trip(yaw):
    heading = float(heading_from_yaw(yaw))
    assert 0.0 <= heading < 360.0
    assert math.cos(float(yaw_from_heading(heading)) - yaw) == pytest.approx(1.0, abs=1e-9)


def test_headings_turn_clockwise_from_north():
    expected = np.radians([90.0, 0.0, -90.0, 180.0])
    assert yaw_from_heading([0.0, 90.0, 180.0, 270.0]) == pytest.approx(expected)
    # Due north, missed by a rounding error to the west, is 0 and not 360.
    assert float(heading_from_yaw(np.nextafter(np.pi / 2, 4))) < 360.0


def test_a_fix_is_a_place_on_earth_and_not_where_receivers_begin():
    lat, lon = (
        np.array([48.0, 0.0, 0.0, -90.0, 91.0, math.nan]),
        np.array([11.0, 0.0, 9, 180, 1, 1]),
    )
    assert is_fix(lat, lon).tolist() == [True, False, True, True, False, False]
    assert bool(is_fix(0.0, -0.0)) is False
