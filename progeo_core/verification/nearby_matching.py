"""Matches of the local features of two images among those that are near where they are expected."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from progeo_core.geo import FloatArray
from progeo_core.verification.feature_matching import MIN_COSINE_NEAR, IntArray, Matches


def matches_nearby(
    first: NDArray[np.float32],
    second: NDArray[np.float32],
    positions: tuple[FloatArray, FloatArray],
    reach: float,
    owner: IntArray | None = None,
    min_cosine: float = MIN_COSINE_NEAR,
) -> Matches:
    """Return the pairs that are each other's most similar among those near each other.

    first, second: descriptors [n, D], [m, D] of unit length. positions: [n, 2], [m, 2] in one
    plane, not finite for what is nowhere in it. reach: the distance of a pair is below it. owner:
    [m] image of each of the second, as a number from 0; one of the first is matched with each image
    by itself. None: all are of one image.
    """
    rows, others = _pairs_nearby(*positions, reach)
    cosine = np.einsum("ij,ij->i", first[rows], second[others])
    similar = np.flatnonzero(cosine >= min_cosine)
    ranked = similar[np.argsort(-cosine[similar], kind="stable")]
    rows, others = rows[ranked], others[ranked]
    in_image = rows if owner is None else rows + len(first) * owner[others]
    kept = np.flatnonzero(_comes_first(in_image) & _comes_first(others))
    return Matches(rows[kept], others[kept])


def _comes_first(numbers: IntArray) -> NDArray[np.bool_]:
    """Return which of numbers [n] from 0 are not there before."""
    order = np.arange(len(numbers))
    first = np.empty(numbers.max(initial=-1) + 1, np.int64)
    # Of several values for one place, the last that is written stays.
    first[numbers[::-1]] = order[::-1]
    return np.asarray(first[numbers] == order)


def _pairs_nearby(first: FloatArray, second: FloatArray, reach: float) -> tuple[IntArray, IntArray]:
    """Return the rows of points [n, 2], [m, 2] that are near each other; few are, of all pairs."""
    usable = [np.flatnonzero(np.isfinite(points).all(axis=1)) for points in (first, second)]
    trees = [KDTree(points[rows]) for points, rows in zip((first, second), usable, strict=True)]
    pairs = trees[0].sparse_distance_matrix(trees[1], reach, output_type="ndarray")
    return usable[0][pairs["i"]], usable[1][pairs["j"]]
