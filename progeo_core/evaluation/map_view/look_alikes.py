"""Places that look similar though they are far apart: where one image leaves a robot unsure."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from progeo_core.descriptors.standardization import Standardization, sample_of
from progeo_core.geo import FloatArray
from progeo_core.localization.map_spacing import measure_spacing
from progeo_core.map.place_map import PlaceMap, PlacePoses
from progeo_core.progress import Advance, no_progress

IntArray = NDArray[np.int64]
_Float32 = NDArray[np.float32]

# Pairs of places that are compared at most: larger maps are compared with a part of themselves.
_MAX_COMPARISONS = 100_000_000
_BLOCK = 1024
# Farther apart than so many steps between neighbours, and than this or a share of the map.
_STEPS, _FAR_M, _SHARE = 5.0, 25.0, 1.0 / 8.0
MAX_PAIRS = 60
# Of so many places, the most similar ones, these pairs are chosen.
_CANDIDATES = 10_000


class LookAlikes(NamedTuple):
    """The most similar place far away of every place [n] of a map, in the order of its poses.

    similarity: [n] standardized, up to 1; NaN where no place is far away. other: [n] rows, -1 then.
    pairs: [p, 2] rows of the most similar pairs, one of each two stretches. distance_m: what counts
    as far. usual: similarity of neighbours, median. compared: places that all were compared with.
    """

    similarity: _Float32
    other: IntArray
    pairs: IntArray
    distance_m: float
    usual: float
    compared: int


def find_look_alikes(
    place_map: PlaceMap, poses: PlacePoses, advance: Advance = no_progress
) -> LookAlikes:
    """Compare the descriptors of a map's places with those of places elsewhere in it.

    Similarity is standardized as the localizer's is. Where the map has more than 10,000
    places, each is compared with a part of them, evenly taken.
    """
    ids, position = poses.ids, poses.position
    similarity = np.full(len(ids), np.nan, np.float32)
    other = np.full(len(ids), -1, np.int64)
    extent = float(np.linalg.norm(np.ptp(position, axis=0))) if len(ids) else 0.0
    if extent == 0.0:
        return LookAlikes(similarity, other, np.empty((0, 2), np.int64), 0.0, 0.0, len(ids))
    standardization = Standardization.of_descriptors(place_map.descriptors(sample_of(ids)))
    spacing = measure_spacing(poses, place_map, standardization)
    distance_m = max(_STEPS * spacing.spacing_m, min(_FAR_M, _SHARE * extent))
    rows = np.arange(0, len(ids), -(-(len(ids) ** 2) // _MAX_COMPARISONS))
    candidates = standardization.apply(place_map.descriptors(ids[rows]))
    start = 0
    for block, descriptors in place_map.descriptor_blocks(_BLOCK):
        own = slice(start, start + len(block))
        near = _squared_distances(position[own], position[rows]) < distance_m**2
        found = standardization.apply(descriptors) @ candidates.T
        found[near] = -np.inf
        best = found.argmax(axis=1)
        highest = found[np.arange(len(block)), best]
        known = np.isfinite(highest)
        similarity[own] = np.where(known, highest, np.nan)
        other[own] = np.where(known, rows[best], -1)
        start = own.stop
        advance(len(block))
    pairs = _distinct_pairs(position, similarity, other, distance_m)
    return LookAlikes(similarity, other, pairs, distance_m, spacing.neighbour_similarity, len(rows))


def _squared_distances(points: FloatArray, others: FloatArray) -> _Float32:
    """Return the squared distances [n, m] (m²) of points [n, 3] and others [m, 3]."""
    center = others.mean(axis=0)
    left, right = (points - center).astype(np.float32), (others - center).astype(np.float32)
    squared: _Float32 = (left**2).sum(axis=1)[:, None] + (right**2).sum(axis=1)
    squared -= 2.0 * left @ right.T
    return squared


def _distinct_pairs(
    position: FloatArray, similarity: _Float32, other: IntArray, distance_m: float
) -> IntArray:
    """Return the most similar pairs [p, 2], without those between two stretches that have one."""
    left = np.flatnonzero(other >= 0)
    left = left[np.argsort(-similarity[left], kind="stable")][:_CANDIDATES]
    right = other[left]
    pairs: list[tuple[int, int]] = []
    while len(left) and len(pairs) < MAX_PAIRS:
        pair = int(left[0]), int(right[0])
        pairs.append(pair)
        ends = [
            [np.linalg.norm(position[rows] - position[end], axis=1) < distance_m for end in pair]
            for rows in (left, right)
        ]
        (left_at_first, left_at_second), (right_at_first, right_at_second) = ends
        same = (left_at_first & right_at_second) | (left_at_second & right_at_first)
        # The pair itself is among them, as its ends are at themselves.
        left, right = left[~same], right[~same]
    return np.array(pairs, np.int64).reshape(-1, 2)
