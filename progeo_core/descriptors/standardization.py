"""Compare descriptors by what sets the places of one map apart, not by what they all share.

All images of one building look somewhat similar, so raw cosines crowd together, at a level that
differs between models and sites. Standardizing every dimension with the map's own mean and spread
(Schubert, Neubert, Protzel 2020, "Unsupervised Learning Methods for Visual Place Recognition in
Discretely and Continuously Changing Environments") puts unrelated images near 0 for any model.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Descriptors = NDArray[np.floating]

# Enough places for a mean and a spread, few enough to read in milliseconds.
_SAMPLE = 2000
# Added to every dimension's spread, as a share of the mean spread, so that dead ones stay quiet.
_SPREAD_FLOOR = 0.1
# Images that the map's own mean counts as: a few images share their places, not only their light.
_PRIOR_IMAGES = 10


def sample_of(ids: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return at most 2000 of the ids of a map's places, evenly taken: enough to measure it."""
    return ids[:: -(-len(ids) // _SAMPLE)]


class Standardization(NamedTuple):
    """Mean [D] and spread [D] of a map's descriptors, and the usual length without them.

    length: median length of the standardized descriptors.
    """

    mean: NDArray[np.float32]
    spread: NDArray[np.float32]
    length: float

    @classmethod
    def of_descriptors(cls, descriptors: Descriptors) -> Standardization:
        """Measure descriptors [n, D] of float16 or float32, n ≥ 1."""
        descriptors = descriptors.astype(np.float32, copy=False)
        spread = descriptors.std(axis=0)
        # float16 rounding is no spread: maps of one place, or of equal images, have none.
        spread += _SPREAD_FLOOR * spread.mean() + np.float32(1e-4)
        mean = descriptors.mean(axis=0, dtype=np.float64).astype(np.float32)
        # Standardized values have a variance near 1, so the length is near the square root of D.
        min_length = 0.5 * math.sqrt(descriptors.shape[1])
        standardization = cls(mean, spread, min_length)
        length = np.linalg.norm(standardization.standardize(descriptors), axis=1)
        return standardization._replace(length=max(float(np.median(length)), min_length))

    def apply(
        self, descriptors: Descriptors, shared: NDArray[np.float32] | None = None
    ) -> NDArray[np.float32]:
        """Return descriptors [n, D] standardized and, if usual for the map, of unit length.

        Shorter, so less similar to anything, are those of dull images, near the mean of the map,
        and of foreign ones, which lie much farther from it than the map's own places do.
        shared: [D] standardized, what these images have in common that the map has not.
        """
        offset = self.standardize(descriptors)
        if shared is not None:
            offset -= shared
        length = np.linalg.norm(offset, axis=1, keepdims=True)
        usual = np.float32(self.length)
        scaled: NDArray[np.float32] = offset * (
            np.minimum(usual / np.maximum(length, 1e-6), 1.0) / np.maximum(length, usual)
        )
        return scaled

    def standardize(self, descriptors: Descriptors) -> NDArray[np.float32]:
        """Return offsets [n, D] from the mean of the map, in units of its spread."""
        offset: NDArray[np.float32] = (descriptors.astype(np.float32) - self.mean) / self.spread
        return offset


class RunningStandardization:
    """What the images of one camera share, while they come in."""

    def __init__(self, standardization: Standardization) -> None:
        """Start from the standardization of the map."""
        self._standardization = standardization
        self._sum = np.zeros_like(standardization.mean)
        self._count = 0

    def view(self, descriptor: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return a descriptor [D] standardized, without what the images so far share."""
        shared = self._sum / np.float32(self._count + _PRIOR_IMAGES)
        standardized: NDArray[np.float32] = self._standardization.apply(descriptor[None], shared)[0]
        return standardized

    def add(self, descriptor: NDArray[np.float32]) -> None:
        """Count one more image, once per stretch of a traverse: a camera that stands adds none."""
        self._sum += self._standardization.standardize(descriptor[None])[0]
        self._count += 1
