"""Gaps in coverage: where a pass went on, and no place is in between."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from progeo_core.geo import FloatArray
from progeo_core.map.place_map import PlaceTable

IntArray = NDArray[np.int64]

# A step this many times the usual one is a gap, unless as much time (s) lies in it: the pass ended.
_USUAL_STEPS = 5.0
_MAX_PAUSE_S = 600.0
# Another place this near to the middle, as a share of the step, covers it.
_COVERED_SHARE = 0.3
MAX_GAPS = 200


class Gaps(NamedTuple):
    """Steps over uncovered ground, the longest first; ends: [g, 2] rows, length_m: [g]."""

    ends: IntArray
    length_m: FloatArray


def find_gaps(places: PlaceTable) -> Gaps:
    """Find steps of a pass that are far longer than its usual ones, with no place in between.

    A pass is what one camera took in one traverse, in the order of its stamps, or of the places
    where stamps are not known.
    """
    from scipy.spatial import KDTree

    found = [_long_steps(places, rows) for rows in _passes(places)]
    ends = np.concatenate([np.empty((0, 2), np.int64), *found])
    if not len(ends):
        return Gaps(ends, np.empty(0))
    first, last = places.position[ends[:, 0]], places.position[ends[:, 1]]
    length_m = np.linalg.norm(last - first, axis=1)
    nearest, _ = KDTree(places.position).query((first + last) / 2.0)
    uncovered = np.flatnonzero(nearest > _COVERED_SHARE * length_m)
    longest = uncovered[np.argsort(-length_m[uncovered], kind="stable")][:MAX_GAPS]
    return Gaps(ends[longest], length_m[longest])


def _passes(places: PlaceTable) -> Iterator[IntArray]:
    """Yield the rows of every pass in its order."""
    names = list(zip(places.traverse, places.camera, strict=True))
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
    pass_of = np.array([numbers[name] for name in names], np.int64)
    for number in range(len(numbers)):
        rows = np.flatnonzero(pass_of == number)
        stamps = places.stamp_ns[rows]
        yield rows[np.argsort(stamps, kind="stable")] if (stamps > 0).all() else rows


def _long_steps(places: PlaceTable, rows: IntArray) -> IntArray:
    """Return the ends [g, 2] of the long steps of one pass."""
    step_m = np.linalg.norm(np.diff(places.position[rows], axis=0), axis=1)
    moved = step_m[step_m > 0.0]
    if not len(moved):
        return np.empty((0, 2), np.int64)
    pause_s = np.diff(places.stamp_ns[rows]) * 1e-9
    long = (step_m > _USUAL_STEPS * np.median(moved)) & (pause_s < _MAX_PAUSE_S)
    (before,) = np.nonzero(long)
    return np.stack([rows[before], rows[before + 1]], axis=1)
