"""Views of single places, read from the map when asked for; the latest ones stay in memory."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from progeo_core.descriptors.standardization import Standardization
from progeo_core.map.place_map import PlaceMap

# Neighbouring images ask for the same few hundred places; 5 MB for 1280-D descriptors.
_KEPT = 1024
_NOWHERE = -1


class DescriptorCache:
    """Give the descriptors of places in the map's contrast, by row of the map's table."""

    def __init__(
        self, place_map: PlaceMap, ids: NDArray[np.int64], contrast: Standardization
    ) -> None:
        """Take a map, the ids of its places [n] and its contrast."""
        self._map, self._ids, self._contrast = place_map, ids, contrast
        self._slot_of_row = np.full(len(ids), _NOWHERE, np.int32)
        self._row_in_slot = np.full(_KEPT, _NOWHERE, np.int64)
        self._views = np.empty((_KEPT, len(contrast.mean)), np.float32)
        self._next = 0

    def of_rows(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the views [k, D] of distinct rows [k]."""
        slots = self._slot_of_row[rows]
        kept = slots != _NOWHERE
        views = np.empty((len(rows), self._views.shape[1]), np.float32)
        views[kept] = self._views[slots[kept]]
        if not kept.all():
            missing = rows[~kept]
            views[~kept] = fresh = self._contrast.apply(self._map.descriptors(self._ids[missing]))
            self._keep(missing[:_KEPT], fresh[:_KEPT])
        return views

    def _keep(self, rows: NDArray[np.int64], views: NDArray[np.float32]) -> None:
        """Overwrite the oldest views with new ones."""
        slots = (self._next + np.arange(len(rows))) % _KEPT
        replaced = self._row_in_slot[slots]
        self._slot_of_row[replaced[replaced != _NOWHERE]] = _NOWHERE
        self._row_in_slot[slots] = rows
        self._slot_of_row[rows] = slots
        self._views[slots] = views
        self._next = int(self._next + len(rows)) % _KEPT
