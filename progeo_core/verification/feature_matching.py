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
    first: NDArray[np.float32],
    second: NDArray[np.float32],
    min_cosine: float = MIN_COSINE,
    allowed: NDArray[np.bool_] | None = None,
) -> Matches:
    """Return the pairs of descriptors [n, D], [m, D] that are each other's most similar.

    Descriptors are of unit length. allowed: [n, m] which pairs may match, None all.
    """
    if not len(first) or not len(second):
        return Matches(np.empty(0, np.int64), np.empty(0, np.int64))
    cosine = first @ second.T
    if allowed is not None:
        cosine[~allowed] = -1.0
    best = cosine.argmax(axis=1)
    rows = np.arange(len(first))
    kept = (cosine.argmax(axis=0)[best] == rows) & (cosine[rows, best] >= min_cosine)
    return Matches(rows[kept], best[kept])
