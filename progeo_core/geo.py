"""Geodesy: WGS84, UTM and local east-north-up metres; headings and yaw. PROJ does the maths."""

from __future__ import annotations

import enum
import functools
import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from progeo_core.errors import DataError, UsageError

if TYPE_CHECKING:
    # Late, as most programs have metres only.
    import pyproj

FloatArray = NDArray[np.float64]

# No place is farther (m) from where the metres of a map start: that is three times the moon.
MAX_POSITION_M = 1e9

# Latitude bands of the Military Grid Reference System, 8° each from 80° S; X is 12° high.
_BANDS = "CDEFGHJKLMNPQRSTUVWX"
_UTM_SOUTH_DEG, _UTM_NORTH_DEG = -80.0, 84.0
# Metres within a zone, with room for a site that crosses its border or the equator.
_UTM_EAST_M, _UTM_NORTH_M = (-5e5, 1.5e6), (-1e6, 1.1e7)
# A site that crosses the border of a band may use one letter for all of it.
_BAND_MARGIN_DEG = 1.0
# What surveys and cameras write where they know no altitude.
_NO_ALTITUDE_M = (-9999.0, -99999.0, -32768.0, -32767.0)


class Frame(enum.Enum):
    """Kind of positions: metres in a local frame, or latitude, longitude and altitude."""

    LOCAL = "local"
    WGS84 = "wgs84"


class Datum(NamedTuple):
    """WGS84 point that local east-north-up metres start from."""

    lat_deg: float
    lon_deg: float
    alt_m: float = 0.0

    @classmethod
    def checked(cls, lat_deg: float, lon_deg: float, alt_m: float = 0.0) -> Datum:
        """Build a datum; raise `UsageError` where a value is not finite or out of range."""
        for name, value, limit in (
            ("latitude", lat_deg, 90.0),
            ("longitude", lon_deg, 180.0),
            ("altitude", alt_m, math.inf),
        ):
            if not math.isfinite(value) or abs(value) > limit:
                span = f" from -{limit:g} to {limit:g}" if math.isfinite(limit) else ""
                raise UsageError(f"datum {name} {value}: must be a finite number{span}")
        return cls(float(lat_deg), float(lon_deg), float(alt_m))


class Utm(NamedTuple):
    """One UTM position: metres in a zone; the band letter (N and above is north)."""

    east_m: float
    north_m: float
    zone: int
    letter: str


def parse_datum(text: str) -> Datum:
    """Read "LAT,LON[,ALT]" in degrees and metres; raise `UsageError` with the form on failure."""
    parts = text.split(",")
    try:
        if len(parts) not in (2, 3):
            raise ValueError
        values = [float(part) for part in parts]
    except ValueError:
        raise UsageError(
            f"datum '{text}': give it as LAT,LON or LAT,LON,ALT, for example 48.137,11.575,519"
        ) from None
    return Datum.checked(*values)


def check_geodetic(lat_deg: ArrayLike, lon_deg: ArrayLike) -> None:
    """Raise `DataError` naming the first latitude or longitude that is NaN or out of range."""
    for name, values, limit in (("latitude", lat_deg, 90.0), ("longitude", lon_deg, 180.0)):
        column = np.atleast_1d(np.asarray(values, np.float64))
        # Written so that NaN counts as bad.
        bad = np.flatnonzero(~(np.abs(column) <= limit))
        if bad.size:
            where = f" (position {bad[0]})" if column.size > 1 else ""
            raise DataError(
                f"{name} {column[bad[0]]}{where}: must be degrees from -{limit:g} to {limit:g}"
            )


def is_fix(lat_deg: ArrayLike, lon_deg: ArrayLike) -> NDArray[np.bool_]:
    """Whether degrees are a place that a receiver found, [n] or one.

    They are within their ranges, and not the 0, 0 that receivers and phones give before they know.
    """
    lat, lon = np.asarray(lat_deg, np.float64), np.asarray(lon_deg, np.float64)
    # Written so that NaN counts as bad.
    on_earth = (np.abs(lat) <= 90.0) & (np.abs(lon) <= 180.0)
    return np.asarray(on_earth & ((lat != 0.0) | (lon != 0.0)))


def known_altitude(alt_m: float) -> float:
    """Return an altitude, NaN for the numbers that stand for an unknown one, as -9999."""
    return math.nan if alt_m in _NO_ALTITUDE_M else alt_m


def utm_zone(lat_deg: float, lon_deg: float) -> int:
    """Return the UTM zone 1-60 of a point, with the exceptions of Norway and Svalbard."""
    if 56.0 <= lat_deg < 64.0 and 3.0 <= lon_deg < 12.0:
        return 32
    if 72.0 <= lat_deg <= _UTM_NORTH_DEG and 0.0 <= lon_deg < 42.0:
        return 31 + 2 * int((lon_deg + 3.0) // 12.0)
    # 180° E is the same meridian as 180° W, where zone 1 starts.
    return int((lon_deg + 180.0) // 6.0) % 60 + 1


def utm_letter(lat_deg: float) -> str:
    """Return the band letter C-X of a latitude within UTM (80° S to 84° N)."""
    return _BANDS[min(int((lat_deg - _UTM_SOUTH_DEG) // 8.0), len(_BANDS) - 1)]


def utm_from_wgs84(lat_deg: float, lon_deg: float) -> Utm:
    """Project one point into its own UTM zone.

    Raises `DataError` for NaN, out of range, or polar latitudes that UTM does not cover.
    """
    check_geodetic(lat_deg, lon_deg)
    if not _UTM_SOUTH_DEG <= lat_deg <= _UTM_NORTH_DEG:
        raise DataError(f"latitude {lat_deg}: UTM covers 80° south to 84° north only")
    zone, letter = utm_zone(lat_deg, lon_deg), utm_letter(lat_deg)
    east, north = _utm_projection(zone, letter < "N").transform(lon_deg, lat_deg, errcheck=True)
    return Utm(float(east), float(north), zone, letter)


def wgs84_from_utm(
    east_m: ArrayLike, north_m: ArrayLike, zone: int, letter: str
) -> tuple[FloatArray, FloatArray]:
    """Return latitude and longitude (degrees) of positions that share one zone and letter.

    Arrays keep their shape; numbers give 0-d arrays. The letter N may stand for all of the north.
    Raises `DataError` for an unknown zone or letter, for metres that no zone has, NaN included, and
    for latitudes outside the letter's band, as where S means south.
    """
    if not 1 <= zone <= 60 or len(letter) != 1 or letter not in _BANDS:
        raise DataError(
            f"UTM zone {zone}{letter}: must be 1 to 60 with a band letter C to X (no I, no O)"
        )
    east, north = np.asarray(east_m, np.float64), np.asarray(north_m, np.float64)
    # Written so that NaN counts as bad.
    bad = np.flatnonzero(~(_within(east, *_UTM_EAST_M) & _within(north, *_UTM_NORTH_M)))
    if bad.size:
        raise DataError(
            f"UTM east {east.ravel()[bad[0]]}, north {north.ravel()[bad[0]]} in zone"
            f" {zone}{letter}: not metres of a UTM zone; check the numbers, or give no zone"
        )
    lat, lon = _wgs84_of_zone(east, north, zone if letter >= "N" else -zone)
    outside = np.flatnonzero(~_in_band(lat, letter))
    if outside.size:
        south, _ = _wgs84_of_zone(east, north, -zone)
        meant = f"; if S means south, write {utm_letter(south.min())}" if letter == "S" else ""
        raise DataError(
            f"UTM north {north.ravel()[outside[0]]} in zone {zone}{letter} is latitude"
            f" {lat.ravel()[outside[0]]:.4f}, which is not in band {letter}{meant}"
        )
    return lat, lon


def utm_in_zone(
    east_m: FloatArray, north_m: FloatArray, zones: NDArray[np.integer[Any]], zone: int
) -> tuple[FloatArray, FloatArray]:
    """Return east and north [n] in `zone` of metres [n] in `zones` [n].

    Zones are negative in the south, and 0 for local metres, which are in no zone. What lies in
    `zone` already is unchanged; NaN for zones that do not border it.
    """
    east, north = (np.where(zones == zone, column, np.nan) for column in (east_m, north_m))
    for other in np.unique(zones).tolist():
        apart = (abs(other) - abs(zone)) % 60
        if other == zone or not other or not zone or apart not in (0, 1, 59):
            continue
        rows = zones == other
        lat, lon = _wgs84_of_zone(east_m[rows], north_m[rows], other)
        east[rows], north[rows] = _utm_projection(abs(zone), zone < 0).transform(lon, lat)
    return east, north


def enu_from_wgs84(geodetic: ArrayLike, datum: Datum) -> FloatArray:
    """Return east-north-up metres [n, 3] of latitude, longitude, altitude [n, 3].

    Topocentric: the tangent plane at the datum, so far points sink below it. An altitude that is
    unknown (NaN) is taken to be the datum's. Raises `DataError` for NaN or out of range degrees.
    """
    points = np.asarray(geodetic, np.float64).reshape(-1, 3)
    check_geodetic(points[:, 0], points[:, 1])
    altitude = np.where(np.isnan(points[:, 2]), datum.alt_m, points[:, 2])
    columns = _topocentric(datum).transform(points[:, 1], points[:, 0], altitude)
    return np.stack(columns, axis=-1)


def wgs84_from_enu(enu_m: ArrayLike, datum: Datum) -> FloatArray:
    """Return latitude, longitude (degrees), altitude (m) [n, 3] of east-north-up metres [n, 3].

    Rows that hold NaN stay NaN.
    """
    points = np.asarray(enu_m, np.float64).reshape(-1, 3)
    known = np.isfinite(points).all(axis=1)
    east, north, up = points[known].T
    lon, lat, altitude = _topocentric(datum).transform(east, north, up, direction="INVERSE")
    geodetic = np.full_like(points, np.nan)
    geodetic[known] = np.stack([lat, lon, altitude], axis=-1)
    return geodetic


def wrap_angle(angle_rad: ArrayLike) -> FloatArray:
    """Wrap radians into (-pi, pi]; NaN stays NaN."""
    angle = np.asarray(angle_rad, np.float64)
    wrapped = angle - 2.0 * np.pi * np.ceil((angle - np.pi) / (2.0 * np.pi))
    # Rounding may leave the last bit on the other side of either end.
    return np.asarray(np.where(wrapped <= -np.pi, np.pi, np.minimum(wrapped, np.pi)))


def yaw_from_heading(heading_deg: ArrayLike) -> FloatArray:
    """Turn degrees clockwise from north into radians counter-clockwise from east."""
    return wrap_angle(np.pi / 2.0 - np.radians(np.asarray(heading_deg, np.float64)))


def heading_from_yaw(yaw_rad: ArrayLike) -> FloatArray:
    """Turn radians counter-clockwise from east into degrees clockwise from north, [0, 360)."""
    heading = np.mod(90.0 - np.degrees(np.asarray(yaw_rad, np.float64)), 360.0)
    # The modulo of a tiny negative number rounds up to 360 itself.
    return np.asarray(np.where(heading >= 360.0, 0.0, heading))


def _wgs84_of_zone(
    east_m: FloatArray, north_m: FloatArray, zone: int
) -> tuple[FloatArray, FloatArray]:
    """Return latitude and longitude of metres in a zone, which is negative in the south."""
    lon, lat = _utm_projection(abs(zone), zone < 0).transform(east_m, north_m, direction="INVERSE")
    return np.asarray(lat, np.float64), np.asarray(lon, np.float64)


def _in_band(lat_deg: FloatArray, letter: str) -> NDArray[np.bool_]:
    """Whether latitudes are in the band of a letter, or near it; N may mean all of the north."""
    low = _UTM_SOUTH_DEG + 8.0 * _BANDS.index(letter)
    high = _UTM_NORTH_DEG if letter in "NX" else low + 8.0
    return _within(lat_deg, low - _BAND_MARGIN_DEG, high + _BAND_MARGIN_DEG)


def _within(values: FloatArray, low: float, high: float) -> NDArray[np.bool_]:
    return np.asarray((values >= low) & (values <= high))


@functools.lru_cache(maxsize=128)
def _utm_projection(zone: int, south: bool) -> pyproj.Transformer:
    """Return degrees (lon, lat) → metres of one zone; made once, as creating it is slow."""
    hemisphere = " +south" if south else ""
    import pyproj

    return pyproj.Transformer.from_pipeline(
        "+proj=pipeline +step +proj=unitconvert +xy_in=deg +xy_out=rad"
        f" +step +proj=utm +zone={zone}{hemisphere} +ellps=WGS84"
    )


@functools.lru_cache(maxsize=32)
def _topocentric(datum: Datum) -> pyproj.Transformer:
    """Return (lon, lat in degrees, alt) → east, north, up metres at a datum.

    Raises `UsageError` for a datum that is no point on earth, as of a file that somebody wrote.
    """
    Datum.checked(*datum)
    import pyproj

    return pyproj.Transformer.from_pipeline(
        "+proj=pipeline +step +proj=unitconvert +xy_in=deg +xy_out=rad"
        " +step +proj=cart +ellps=WGS84"
        " +step +proj=topocentric +ellps=WGS84"
        f" +lat_0={datum.lat_deg:.15g} +lon_0={datum.lon_deg:.15g} +h_0={datum.alt_m:.15g}"
    )
