"""Tracks of local features over places whose cameras are known."""

from __future__ import annotations

import collections
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from progeo_core.geo import FloatArray
from progeo_core.verification.known_view import (
    BAND_PX,
    NO_MATCHES,
    KnownView,
    PairMatches,
    match_views,
)

IntArray = NDArray[np.int64]

# Views that a track goes through, at most.
_VIEWS = 32
# Pairs of places whose matches are kept: 7 kB each.
_KEPT = 5000


class Tracks(NamedTuple):
    """Features of one place in others: rows of places, and the row of each feature there [n].

    Features are -1 where the other place does not show them. agreement: of `PairMatches`, for each
    neighbour of the place. error_px: of the matches with all of them.
    """

    places: list[int]
    features: list[IntArray]
    agreement: FloatArray
    error_px: NDArray[np.float32]


class FeatureTracks:
    """Tracks over the places of one map; the matches of pairs are found once."""

    def __init__(
        self,
        neighbors: Callable[[int], IntArray],
        view: Callable[[int], KnownView | None],
        band_px: float = BAND_PX,
    ) -> None:
        """Follow features between the neighbours of a row; view: of a row, None unknown.

        band_px: of `match_views`.
        """
        self._neighbors, self._view, self._band_px = neighbors, view, band_px
        self._kept: collections.OrderedDict[tuple[int, int], PairMatches] = (
            collections.OrderedDict()
        )

    def moved(self, views: Mapping[int, KnownView], band_px: float = BAND_PX) -> FeatureTracks:
        """Return what follows the same features, with other views of some rows."""
        return FeatureTracks(
            self._neighbors, lambda row: views[row] if row in views else self._view(row), band_px
        )

    def view(self, row: int) -> KnownView:
        """Return the view of a row that has one."""
        found = self._view(row)
        assert found is not None
        return found

    def of_all(self, rows: Sequence[int]) -> dict[int, Tracks]:
        """Return the tracks of places, by their rows."""
        return {row: self.of(row) for row in rows}

    def of(self, row: int) -> Tracks:
        """Return the tracks of a place's features to its neighbours, and from there to theirs.

        A camera that drives ahead sees a feature larger and larger: it is recognised from image to
        image, rarely from the first to the last.
        """
        direct = self._direct(row)
        found = {other: track.copy() for other, track in direct.items()}
        for middle, track in direct.items():
            known = track >= 0
            for other, onward in self._direct(middle).items():
                if other != row:
                    further = found.setdefault(other, np.full(len(track), -1))
                    free = known & (further < 0)
                    further[free] = onward[track[free]]
        others = sorted(found, key=lambda other: (other not in direct, -(found[other] >= 0).sum()))
        chosen = others[:_VIEWS]
        matches = [self._matches(row, other) for other in self._neighbors(row).tolist()]
        return Tracks(
            chosen,
            [found[other] for other in chosen],
            np.array([one.agreement for one in matches]),
            np.concatenate([NO_MATCHES.error_px, *(one.error_px for one in matches)]),
        )

    def _direct(self, row: int) -> dict[int, IntArray]:
        """Return where neighbours that do not contradict a place show its features."""
        view = self._view(row)
        if view is None:
            return {}
        matches = {other: self._matches(row, other) for other in self._neighbors(row).tolist()}
        return {
            other: _track(len(view.rays), found)
            for other, found in matches.items()
            if len(found.first) and not found.contradict
        }

    def _matches(self, row: int, other: int) -> PairMatches:
        if other < row:
            found = self._matches(other, row)
            return found._replace(first=found.second, second=found.first)
        if (row, other) not in self._kept:
            view, seen = self._view(row), self._view(other)
            self._kept[row, other] = (
                NO_MATCHES
                if view is None or seen is None
                else match_views(view, seen, self._band_px)
            )
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return self._kept[row, other]


def direct_tracks(view: KnownView, others: Sequence[KnownView]) -> list[IntArray]:
    """Return the row of each feature [n] in other views, -1 where one does not show it.

    Views that contradict the first one's pose show nothing.
    """
    return [_track(len(view.rays), match_views(view, other)) for other in others]


def _track(count: int, matches: PairMatches) -> IntArray:
    track = np.full(count, -1)
    if not matches.contradict:
        track[matches.first] = matches.second
    return track
