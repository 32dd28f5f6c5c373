"""Where a map ends: places beyond which it has no others, though the world goes on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from progeo_core.geo import FloatArray
from progeo_core.localization.place_grid import PlaceGrid

# Where all that is around a place lies within this angle (rad), the map ends there.
_MAX_ANGLE = 2.0 * np.pi / 3.0


class MapEnds:
    """Ends of a map, of a line of places as of an area."""

    def __init__(self, position: FloatArray, radius_m: float) -> None:
        """Take the positions [n, 3] of all places; radius_m: of one place.

        What is around a place is one to two radii away.
        """
        self._position, self._radius_m = position, radius_m
        self._grid = PlaceGrid(position, 2.0 * radius_m)

    def at_end(self, point: FloatArray) -> NDArray[np.bool_]:
        """Return whether the map ends at points [m, 3]."""
        pairs = self._grid.near(point, 2.0 * self._radius_m)
        around = pairs.distance_m > self._radius_m
        owner = pairs.point[around]
        offset = self._position[pairs.row[around]] - point[owner]
        angle = np.arctan2(offset[:, 1], offset[:, 0])
        return np.array([_is_one_sided(angle[owner == one]) for one in range(len(point))], bool)

    def nearest(self, point: FloatArray, count: int) -> list[tuple[int, float]]:
        """Return rows and distances (m) of the nearest places to a point [3], within two radii."""
        pairs = self._grid.near(point[None], 2.0 * self._radius_m)
        order = np.argsort(pairs.distance_m, kind="stable")[:count]
        return list(zip(pairs.row[order].tolist(), pairs.distance_m[order].tolist(), strict=True))


def _is_one_sided(angle: FloatArray) -> bool:
    """Whether directions [n] (rad) all lie within the largest angle of an end."""
    if not angle.size:
        return True
    sorted_angle = np.sort(angle)
    gaps = np.diff(sorted_angle, append=sorted_angle[0] + 2.0 * np.pi)
    return bool(gaps.max() > 2.0 * np.pi - _MAX_ANGLE)
