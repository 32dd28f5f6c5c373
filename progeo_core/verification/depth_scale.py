"""The size of a map's depth against that of its poses."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from progeo_core.geo import FloatArray

# Cameras nearer to each other than this (m) tell no size.
_MIN_BASELINE_M = 0.05
# Depth is of another size where it differs by more than this share, and by so many of its standard
# errors; fewer places than this do not tell.
_MAX_LOG, _MIN_ERRORS, _MIN_PLACES = np.log(1.08), 3.0, 6


class DepthScale(NamedTuple):
    """How many times too large depth is. error: standard, of its logarithm."""

    factor: float
    error: float
    places: int

    @property
    def fault(self) -> str:
        """Return what is wrong with the depth, "" where nothing is."""
        size = abs(np.log(self.factor))
        if self.places < _MIN_PLACES or size < max(_MAX_LOG, _MIN_ERRORS * self.error):
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


def depth_scale(places: Iterable[float]) -> DepthScale:
    """Return the scale of a map's depth by those of its places, NaN unknown."""
    sizes = np.array([*places])
    sizes = np.log(sizes[np.isfinite(sizes)])
    if not sizes.size:
        return DepthScale(1.0, np.inf, 0)
    middle = float(np.median(sizes))
    spread = 1.4826 * float(np.median(np.abs(sizes - middle)))
    # Of a median.
    error = 1.2533 * spread / np.sqrt(len(sizes))
    return DepthScale(float(np.exp(middle)), float(error), len(sizes))
