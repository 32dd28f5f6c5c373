"""Descriptors of single places, read from the map when needed; the latest stay in memory."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from progeo_core.descriptors.standardization import Standardization
from progeo_core.map.place_map import PlaceMap

# Neighbouring images ask for the same few hundred places; 5 MB for 1280-D descriptors.
_CAPACITY = 1024
_NOWHERE = -1


class DescriptorCache:
    """Cache of standardized descriptors of places, by row of the map's table."""

    def __init__(
        self, place_map: PlaceMap, ids: NDArray[np.int64], standardization: Standardization
    ) -> None:
        """Cache descriptors of a map with these ids of its places [n]."""
        self._map, self._ids, self._standardization = place_map, ids, standardization
        self._slot_of_row = np.full(len(ids), _NOWHERE, np.int32)
        self._row_in_slot = np.full(_CAPACITY, _NOWHERE, np.int64)
        self._kept = np.empty((_CAPACITY, len(standardization.mean)), np.float32)
        self._next = 0

    def of_rows(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the standardized descriptors [k, D] of distinct rows [k]."""
        slots = self._slot_of_row[rows]
        cached = slots != _NOWHERE
        descriptors = np.empty((len(rows), self._kept.shape[1]), np.float32)
        descriptors[cached] = self._kept[slots[cached]]
        if not cached.all():
            missing = rows[~cached]
            descriptors[~cached] = fresh = self._standardization.apply(
                self._map.descriptors(self._ids[missing])
            )
            self._keep(missing[:_CAPACITY], fresh[:_CAPACITY])
        return descriptors

    def _keep(self, rows: NDArray[np.int64], descriptors: NDArray[np.float32]) -> None:
        """Overwrite the oldest descriptors with new ones."""
        slots = (self._next + np.arange(len(rows))) % _CAPACITY
        replaced = self._row_in_slot[slots]
        self._slot_of_row[replaced[replaced != _NOWHERE]] = _NOWHERE
        self._row_in_slot[slots] = rows
        self._slot_of_row[rows] = slots
        self._kept[slots] = descriptors
        self._next = int(self._next + len(rows)) % _CAPACITY
