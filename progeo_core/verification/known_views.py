"""Views of the places of a map, of which those used last are in memory."""

from __future__ import annotations

import collections
from typing import NamedTuple

from progeo_core.map.place_features import PlaceView
from progeo_core.map.place_map import IdArray, PlaceMap
from progeo_core.verification.known_view import KnownView, known_view

# Views in memory: 512 features are 0.2 MB.
_KEPT = 400


class PlaceViews(NamedTuple):
    """View of a place as a map has it, and what triangulation needs of it; None is unknown."""

    view: PlaceView | None
    known: KnownView | None


class KnownViews:
    """Views of the places of one map, by their rows."""

    def __init__(self, place_map: PlaceMap, ids: IdArray) -> None:
        """Read views of a map when they are asked for; ids: of the place of each row."""
        self._map, self._ids = place_map, ids
        self._kept: collections.OrderedDict[int, PlaceViews] = collections.OrderedDict()

    def of(self, row: int) -> PlaceViews:
        """Return the views of a row."""
        if row not in self._kept:
            (view,) = self._map.views(self._ids[[row]])
            self._kept[row] = PlaceViews(view, None if view is None else known_view(view))
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(row)
        return self._kept[row]

    def known(self, row: int) -> KnownView | None:
        """Return what triangulation needs of a row, None where that is unknown."""
        return self.of(row).known
