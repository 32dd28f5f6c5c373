"""Compare descriptors by what sets the places of one map apart, not by what they all share.

All images of one building look somewhat alike, so raw cosines crowd together, at a level that
differs between models and sites. Standardising every dimension with the map's own mean and spread
(Schubert, Neubert, Protzel 2020, "Unsupervised Learning Methods for Visual Place Recognition in
Discretely and Continuously Changing Environments") puts unrelated images near 0 for any model.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Descriptors = NDArray[np.floating]
View = NDArray[np.float32]

# Enough places for a mean and a spread, few enough to read in milliseconds.
_SAMPLE = 2000
# Added to every dimension's spread, as a share of the mean spread, so that dead ones stay quiet.
_SPREAD_FLOOR = 0.1
# Images that the map's own mean counts as: a few images share their places, not only their light.
_PRIOR_IMAGES = 30


def sample_of(ids: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return at most 2000 of the ids of a map's places, evenly taken: enough to measure it."""
    return ids[:: -(-len(ids) // _SAMPLE)]


class Standardization(NamedTuple):
    """Hold the mean [D] and the spread [D] of a map's descriptors, and what is left of them.

    length: median length of the standardised descriptors.
    """

    mean: NDArray[np.float32]
    spread: NDArray[np.float32]
    length: float

    @classmethod
    def of_descriptors(cls, descriptors: Descriptors) -> Standardization:
        """Measure descriptors [n, D], n ≥ 1."""
        spread = descriptors.std(axis=0).astype(np.float32)
        # float16 rounding is no contrast: maps of one place, or of equal images, have none.
        spread += _SPREAD_FLOOR * spread.mean() + np.float32(1e-4)
        # Standardised values have a variance near 1, so the length is near the square root of D.
        least = 0.5 * math.sqrt(descriptors.shape[1])
        contrast = cls(descriptors.mean(axis=0, dtype=np.float64).astype(np.float32), spread, least)
        length = np.linalg.norm(contrast.standardize(descriptors), axis=1)
        return contrast._replace(length=max(float(np.median(length)), least))

    def apply(
        self, descriptors: Descriptors, shared: NDArray[np.float32] | None = None
    ) -> NDArray[np.float32]:
        """Return views [n, D]: descriptors standardised and, if usual for the map, of unit length.

        Shorter, so less like anything, are views of dull images, near the mean of the map, and of
        foreign ones, which lie much farther from it than the map's own places do.
        shared: [D] standardised, what these images have in common that the map has not.
        """
        offset = self.standardize(descriptors)
        if shared is not None:
            offset -= shared
        length = np.linalg.norm(offset, axis=1, keepdims=True)
        usual = np.float32(self.length)
        view: NDArray[np.float32] = offset * (
            np.minimum(usual / np.maximum(length, 1e-6), 1.0) / np.maximum(length, usual)
        )
        return view

    def standardize(self, descriptors: Descriptors) -> NDArray[np.float32]:
        """Return offsets [n, D] from the mean of the map, in units of its spread."""
        offset: NDArray[np.float32] = (descriptors.astype(np.float32) - self.mean) / self.spread
        return offset


class RunningStandardization:
    """Remember what the images of one camera share, while they come in."""

    def __init__(self, contrast: Standardization) -> None:
        """Take the contrast of the map."""
        self._contrast = contrast
        self._sum = np.zeros_like(contrast.mean)
        self._count = 0

    def view(self, descriptor: NDArray[np.float32]) -> View:
        """Return the view [D] of a descriptor [D] without what the images so far share."""
        shared = self._sum / np.float32(self._count + _PRIOR_IMAGES)
        view: View = self._contrast.apply(descriptor[None], shared)[0]
        return view

    def add(self, descriptor: NDArray[np.float32]) -> None:
        """Count one more image, once per piece of the drive: a camera that stands adds nothing."""
        self._sum += self._contrast.standardize(descriptor[None])[0]
        self._count += 1
