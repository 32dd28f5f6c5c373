"""Short descriptors for long ones: principal components that are learned from a map.

Without whitening (Jégou, Chum 2012, "Negative Evidences and Co-occurences in Image Retrieval"):
a map has too few images to tell what is rare from noise.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from progeo_core.errors import UsageError

Rows = NDArray[np.float32]

_SEED = 0


class Projection(NamedTuple):
    """Linear map from descriptors of D values to shorter ones of d values; components: [d, D]."""

    components: Rows

    @property
    def dimension(self) -> int:
        """Return the length d of shortened descriptors."""
        return len(self.components)

    def apply(self, descriptors: NDArray[np.floating]) -> Rows:
        """Return descriptors [n, D] shortened to [n, d], of unit length."""
        short = descriptors.astype(np.float32, copy=False) @ self.components.T
        length = np.linalg.norm(short, axis=1, keepdims=True)
        return np.asarray(short / np.maximum(length, 1e-9), np.float32)


def learn_projection(descriptors: NDArray[np.floating], dimension: int) -> Projection:
    """Return the projection of descriptors [n, D] to their d principal components.

    Their mean stays in, so that similarities of what was learned from are kept as well as d values
    can. Fewer descriptors than d have fewer components; the rest are random directions at right
    angles to these, for what comes later. The axes are turned at random, so that each value says as
    much as any other: maps divide each by its spread. Raises `UsageError` where there is nothing to
    shorten.
    """
    long = descriptors.shape[1]
    if not 0 < dimension < long:
        raise UsageError(f"descriptors of {long} values cannot be shortened to {dimension}")
    components = _principal(descriptors.astype(np.float32), dimension)
    random = np.random.default_rng(_SEED)
    missing = dimension - len(components)
    others = random.normal(size=(missing, long)).astype(np.float32)
    others -= (others @ components.T) @ components
    components = np.vstack([components, np.linalg.qr(others.T)[0].T])
    turn = np.linalg.qr(random.normal(size=(dimension, dimension)))[0]
    return Projection(np.asarray(turn @ components, np.float32))


def _principal(rows: Rows, dimension: int) -> Rows:
    """Return the directions [k, D] along which the squares of rows [n, D] are largest.

    By the smaller of the two matrices whose eigenvectors tell them.
    """
    count, long = rows.shape
    squares = rows @ rows.T if count < long else rows.T @ rows
    values, vectors = np.linalg.eigh(squares)
    order = np.argsort(-values)[:dimension]
    # What equal descriptors leave is rounding.
    order = order[values[order] > 1e-5 * values.max(initial=0.0)]
    directions = vectors[:, order].T
    if count < long:
        directions = directions @ rows
    return np.asarray(directions / np.linalg.norm(directions, axis=1, keepdims=True), np.float32)
