"""The size of a map's depth against that of its poses."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from progeo_core.geo import FloatArray

# Cameras nearer to each other than this (m) tell no size.
_MIN_BASELINE_M = 0.05
# Depth is of another size where it differs by more than this share, and by so many of its standard
# errors; fewer places than this do not tell.
_MAX_LOG, _MIN_ERRORS, _MIN_PLACES = np.log(1.08), 3.0, 6
# Nor is it where poses that err by this much (m) from one end of the places to the other explain
# it: the errors of places side by side are alike.
_POSE_ERROR_M = 0.15


class DepthScale(NamedTuple):
    """How many times too large depth is.

    error: standard, of its logarithm. places: that tell it. extent_m: how far apart they are.
    """

    factor: float
    error: float
    places: int
    extent_m: float

    @property
    def fault(self) -> str:
        """Return what is wrong with the depth, "" where nothing is."""
        size = abs(np.log(self.factor))
        by_chance = max(_MAX_LOG, _MIN_ERRORS * self.error)
        if self.places < _MIN_PLACES or size < by_chance or size * self.extent_m < _POSE_ERROR_M:
            return ""
        return f"depth is {self.factor:.2f} times what the poses say"


def place_scale(position: FloatArray, others: Iterable[tuple[FloatArray, FloatArray]]) -> float:
    """Return how many times too large the depth of a place is, NaN unknown.

    position: [3] (m) of its camera. others: positions of other cameras that see its landmarks, as
    the map gives them and as the landmarks do. Errors of the map's positions average out.
    """
    factors = []
    for given, seen in others:
        along = seen - position
        squared = float(along @ along)
        if squared > _MIN_BASELINE_M**2:
            factors.append(float((given - position) @ along) / squared)
    # The median is of what positions are divided by, as these err.
    size = float(np.median(factors)) if factors else np.nan
    return 1.0 / size if size > 0.0 else np.nan


def depth_scale(places: Sequence[tuple[FloatArray, float]]) -> DepthScale:
    """Return the scale of a map's depth by its places: position [3] (m) and scale, NaN unknown."""
    known = [(position, size) for position, size in places if np.isfinite(size)]
    if not known:
        return DepthScale(1.0, np.inf, 0, 0.0)
    position, sizes = np.stack([one for one, _ in known]), np.log([size for _, size in known])
    middle = float(np.median(sizes))
    spread = 1.4826 * float(np.median(np.abs(sizes - middle)))
    # Of a median.
    error = 1.2533 * spread / np.sqrt(len(sizes))
    extent_m = 2.0 * np.linalg.norm(position - position.mean(axis=0), axis=1).max()
    return DepthScale(float(np.exp(middle)), float(error), len(sizes), float(extent_m))
