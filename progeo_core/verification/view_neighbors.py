"""Places whose images overlap enough, from points apart enough, to triangulate between them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from progeo_core.geo import FloatArray

IntArray = NDArray[np.int64]

# Neighbours of a place that are matched with it, and the nearest places among which they are.
_CHOSEN, _CONSIDERED = 12, 96
# Cameras closer than this (m) see the same; of two neighbours, each must add this share of its
# distance from the place.
_MIN_BASELINE_M, _MIN_SPREAD = 0.03, 0.4
# Optical axes of overlapping images are within 50°.
_MIN_AXIS_COSINE = np.cos(np.radians(50.0))


class ViewNeighbors:
    """Neighbours of places by the poses of their cameras."""

    def __init__(self, position: FloatArray, rotation: FloatArray) -> None:
        """Take positions [n, 3] (m) and rotations [n, 3, 3] of the optical axes; all are finite."""
        self._position, self._axis = position, rotation[:, :, 2]
        self._tree = cKDTree(position)

    def of(self, row: int) -> IntArray:
        """Return the rows of a place's neighbours, nearest first.

        Their distances grow, so that near and far points both find enough parallax.
        """
        count = min(_CONSIDERED, len(self._position))
        distance, rows = self._tree.query(self._position[row], count)
        distance, rows = np.atleast_1d(distance), np.atleast_1d(rows)
        usable = (distance > _MIN_BASELINE_M) & (
            self._axis[rows] @ self._axis[row] > _MIN_AXIS_COSINE
        )
        chosen: list[int] = []
        for other, far in zip(rows[usable].tolist(), distance[usable].tolist(), strict=True):
            apart = np.linalg.norm(self._position[chosen] - self._position[other], axis=1)
            if (apart > _MIN_SPREAD * far).all():
                chosen.append(other)
                if len(chosen) == _CHOSEN:
                    break
        return np.array(chosen, np.int64)
