"""Whether an image that looks as a place at the end of a map was taken beyond it."""

from __future__ import annotations

import math

import numpy as np

from progeo_core.geo import FloatArray
from progeo_core.localization.inlier_evidence import shortfall_log_odds
from progeo_core.localization.map_ends import MapEnds
from progeo_core.localization.place_verification import PlaceVerifier
from progeo_core.localization.ranking import Query

# So many places next to one tell how fast what is seen grows there (log magnification per place
# radius). Where none tells, it is the usual; it is never less than the least.
_NEIGHBOURS, _USUAL_GROWTH, _MIN_GROWTH = 5, 0.2, 0.05


class BeyondTheEnd:
    """Evidence of images for a place at the end of a map against all that lies beyond it.

    An image from beyond the end shows the same as the last place, but larger or smaller, as its
    camera looks ahead or back: by how much tells how far away it was taken, as neighbours in the
    map tell how fast what they see grows. It may share any number of features with the place.
    """

    def __init__(self, position: FloatArray, radius_m: float, verifier: PlaceVerifier) -> None:
        """Take the positions [n, 3] of all places; radius_m: of one place."""
        self._ends, self._position = MapEnds(position, radius_m), position
        self._radius_m, self._verifier = radius_m, verifier
        self._growths: dict[int, float] = {}

    def log_odds(self, query: Query, row: int) -> float:
        """Return the log odds of a place against what is beyond it, 0 at most.

        0 where the map goes on around it.
        """
        if not self._ends.at_end(self._position[[row]])[0]:
            return 0.0
        fitted = self._verifier.constants
        found = self._verifier.overlap(query, row)
        if found is None:
            return 0.0
        shortfall = float(shortfall_log_odds(np.array([found.inliers]), fitted)[0])
        if math.isnan(found.log_magnification):
            return shortfall
        away = found.log_magnification / self._growth(row)
        near, far = away / fitted.end_spread, away / fitted.beyond_spread
        here = 0.5 * (far**2 - near**2) + math.log(fitted.beyond_spread / fitted.end_spread)
        return min(0.0, shortfall + here)

    def _growth(self, row: int) -> float:
        """Return the log magnification of what a place shows per place radius of its neighbours."""
        if row not in self._growths:
            neighbours = self._ends.nearest(self._position[row], _NEIGHBOURS + 1)
            found = [
                abs(log_magnification) * self._radius_m / distance_m
                for other, distance_m in neighbours
                if distance_m > 0.0
                and math.isfinite(log_magnification := self._verifier.magnification(other, row))
            ]
            growth = float(np.median(found)) if found else _USUAL_GROWTH
            self._growths[row] = max(growth, _MIN_GROWTH)
        return self._growths[row]
