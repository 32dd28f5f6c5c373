"""Matches of the local features of two images."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]

# Cosine that a match needs, and that one needs which lies where it is expected.
MIN_COSINE, MIN_COSINE_NEAR = 0.82, 0.7


class Matches(NamedTuple):
    """Rows [m] of the features of the first and of the second image that match."""

    first: IntArray
    second: IntArray


def mutual_matches(
    first: NDArray[np.float32], second: NDArray[np.float32], min_cosine: float = MIN_COSINE
) -> Matches:
    """Return the pairs of descriptors [n, D], [m, D] that are each other's most similar.

    Descriptors are of unit length.
    """
    return most_similar_pairs(first @ second.T, min_cosine)


def most_similar_pairs(cosine: NDArray[np.float32], min_cosine: float) -> Matches:
    """Return the pairs that are each other's most similar, by the cosines [n, m] of all pairs."""
    if not cosine.size:
        return Matches(np.empty(0, np.int64), np.empty(0, np.int64))
    best = cosine.argmax(axis=1)
    highest = cosine[np.arange(len(cosine)), best]
    # The maximum over columns is ten times as fast as where it is.
    kept = np.flatnonzero((highest >= min_cosine) & (highest >= cosine.max(axis=0)[best]))
    return Matches(kept, best[kept])
