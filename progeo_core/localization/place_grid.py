"""Search for the places of a map within a distance of many points at once."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from progeo_core.geo import FloatArray

IntArray = NDArray[np.int64]

# Columns of cells are numbered so that every map on earth fits 32 bits each way.
_COLUMN = np.int64(1) << np.int64(32)


class Pairs(NamedTuple):
    """Which place lies near which point, all [p]: indices of points, rows of places, m."""

    point: IntArray
    row: IntArray
    distance_m: FloatArray


class PlaceGrid:
    """Grid of places in square cells of the plane; heights count in distances only."""

    def __init__(self, position: FloatArray, cell_m: float) -> None:
        """Sort positions [n, 3] into cells of a size, best about the radius of the searches."""
        self._position = position
        self._cell_m = cell_m
        keys = self._keys(np.floor(position[:, :2] / cell_m).astype(np.int64))
        self._order = np.argsort(keys, kind="stable")
        self._sorted_keys = keys[self._order]

    def near(self, points: FloatArray, radius_m: float) -> Pairs:
        """Return all pairs of a point [m, 3] and a place at most the radius apart."""
        low = np.floor((points[:, :2] - radius_m) / self._cell_m).astype(np.int64)
        high = np.floor((points[:, :2] + radius_m) / self._cell_m).astype(np.int64)
        # Cells of one column follow each other in the order of the keys: one range per column.
        columns = np.arange(int((high - low)[:, 0].max(initial=0)) + 1)
        first_x = low[:, :1] + columns
        bottom, top = (
            self._keys(np.stack(np.broadcast_arrays(first_x, y[:, 1:]), axis=-1)).ravel()
            for y in (low, high)
        )
        first = np.searchsorted(self._sorted_keys, bottom, side="left")
        count = np.searchsorted(self._sorted_keys, top, side="right") - first
        point = np.repeat(np.repeat(np.arange(len(points)), len(columns)), count)
        # The running number within each range, added to the range's first place.
        within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
        row = self._order[np.repeat(first, count) + within]
        distance = np.linalg.norm(self._position[row] - points[point], axis=1)
        close = distance <= radius_m
        return Pairs(point[close], row[close], distance[close])

    @staticmethod
    def _keys(cells: IntArray) -> IntArray:
        """Return one number per cell [..., 2]."""
        keys: IntArray = cells[..., 0] * _COLUMN + cells[..., 1]
        return keys
