"""Part of the earth that places are asked for: a box of degrees, or a circle within one."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from numpy.typing import NDArray

from progeo_core.errors import UsageError
from progeo_core.geo import Datum, FloatArray, enu_from_wgs84

# Metres of a degree of latitude where it is shortest, so that boxes are never too small.
_METRES_PER_DEGREE = 110_574.0
# Cells per degree: about 1.1 km from north to south.
_CELLS_PER_DEGREE = 100
_CELLS_PER_ROW = 360 * _CELLS_PER_DEGREE + 1
# A region of more rows of cells asks for all cells between its first and its last.
_MAX_ROWS = 64
_MAX_RADIUS_M = 1e6


@dataclasses.dataclass(frozen=True)
class Region:
    """Box of degrees; west > east crosses the antimeridian. With a centre, a circle within it.

    center: latitude and longitude of the circle (degrees). radius_m: its horizontal radius.
    """

    south_deg: float
    west_deg: float
    north_deg: float
    east_deg: float
    center: Datum | None = None
    radius_m: float = math.inf

    def __post_init__(self) -> None:
        for name, value, limit in (
            ("south", self.south_deg, 90.0),
            ("north", self.north_deg, 90.0),
            ("west", self.west_deg, 180.0),
            ("east", self.east_deg, 180.0),
        ):
            if not abs(value) <= limit:
                raise UsageError(f"region: {name} {value} must be from -{limit:g} to {limit:g}")
        if self.south_deg > self.north_deg:
            raise UsageError(
                f"region: south {self.south_deg} is north of {self.north_deg}; exchange them"
            )

    @classmethod
    def near(cls, lat_deg: float, lon_deg: float, radius_m: float) -> Region:
        """Return the circle around a point; `UsageError` for values that are no such circle."""
        center = Datum.checked(lat_deg, lon_deg)
        if not 0.0 < radius_m <= _MAX_RADIUS_M:
            raise UsageError(f"region: radius {radius_m:g} m must be above 0, to {_MAX_RADIUS_M:g}")
        high = radius_m / _METRES_PER_DEGREE
        south, north = max(lat_deg - high, -90.0), min(lat_deg + high, 90.0)
        narrow = math.cos(math.radians(max(abs(south), abs(north))))
        wide = high / narrow if narrow > 1e-6 else 360.0
        west, east = (-180.0, 180.0) if wide >= 180.0 else (lon_deg - wide, lon_deg + wide)
        west, east = _wrapped(west), _wrapped(east)
        return cls(south, west, north, east, center, radius_m)

    @property
    def longitudes(self) -> tuple[tuple[float, float], ...]:
        """Return the spans of longitude from west to east, two across the antimeridian."""
        if self.west_deg <= self.east_deg:
            return ((self.west_deg, self.east_deg),)
        return ((self.west_deg, 180.0), (-180.0, self.east_deg))

    @property
    def cells(self) -> tuple[tuple[int, int], ...]:
        """Return ranges of cells, both ends included, that hold all places of the region."""
        south, north = (_row(value) for value in (self.south_deg, self.north_deg))
        if north - south >= _MAX_ROWS:
            return ((south * _CELLS_PER_ROW, (north + 1) * _CELLS_PER_ROW - 1),)
        return tuple(
            (row * _CELLS_PER_ROW + _column(west), row * _CELLS_PER_ROW + _column(east))
            for row in range(south, north + 1)
            for west, east in self.longitudes
        )

    def contains(self, geodetic: FloatArray) -> NDArray[np.bool_]:
        """Whether points [n, 3] (degrees, degrees, metres) are in the region [n]."""
        lat, lon = geodetic[:, 0], geodetic[:, 1]
        inside = (lat >= self.south_deg) & (lat <= self.north_deg)
        inside &= np.any([(lon >= west) & (lon <= east) for west, east in self.longitudes], axis=0)
        if self.center is not None and inside.any():
            level = np.column_stack([geodetic[inside, :2], np.zeros(int(inside.sum()))])
            flat = enu_from_wgs84(level, self.center)[:, :2]
            inside[inside] = np.linalg.norm(flat, axis=1) <= self.radius_m
        return np.asarray(inside)

    def __str__(self) -> str:
        """Return one readable line for messages."""
        if self.center is not None:
            lat, lon, _ = self.center
            return f"{self.radius_m:g} m around {lat:g},{lon:g}"
        return f"{self.south_deg:g},{self.west_deg:g} to {self.north_deg:g},{self.east_deg:g}"


def cells_of(geodetic: FloatArray) -> NDArray[np.int64]:
    """Return the cell [n] of points [n, 3] (degrees, degrees, metres)."""
    rows = np.floor((geodetic[:, 0] + 90.0) * _CELLS_PER_DEGREE).astype(np.int64)
    columns = np.floor((geodetic[:, 1] + 180.0) * _CELLS_PER_DEGREE).astype(np.int64)
    return rows * _CELLS_PER_ROW + columns


def _row(lat_deg: float) -> int:
    return math.floor((lat_deg + 90.0) * _CELLS_PER_DEGREE)


def _column(lon_deg: float) -> int:
    return math.floor((lon_deg + 180.0) * _CELLS_PER_DEGREE)


def _wrapped(lon_deg: float) -> float:
    if -180.0 <= lon_deg <= 180.0:
        return lon_deg
    return (lon_deg + 180.0) % 360.0 - 180.0
