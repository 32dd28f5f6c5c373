"""Pairwise consistency of loop closures with the odometry between them, and consistent cliques.

Mangelson, Dominic, Eustice, Vasudevan 2018, "Pairwise Consistent Measurement Set Maximization for
Robust Multi-robot Map Merging": correct closures agree with each other, wrong ones seldom do. The
largest clique is approximated greedily, by evidence.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from progeo_core.geo import FloatArray, wrap_angle

IntArray = NDArray[np.int64]

# Share of the path length by which odometry may err between the images of one window.
_WINDOW_DRIFT = 0.05
# Views in directions that differ by more than this (rad) are not similar.
_MAX_TURN_RAD = 0.6


class Ends(NamedTuple):
    """One end of n pairs: number [n], pose [n, 3] and segment [n] of its keyframes."""

    number: IntArray
    pose: FloatArray
    segment: IntArray


def consistent_pairs(query: Ends, match: Ends, tolerance_m: float) -> NDArray[np.bool_]:
    """Return which of n pairs agree with each other [n, n]; pairs of one query never agree.

    tolerance_m: how far apart two images of one place may be taken.
    """
    moved, expected = _steps(query.pose), _steps(match.pose)
    path_length = np.maximum(_length(*moved), _length(*expected))
    apart = _length(moved[0] - expected[0], moved[1] - expected[1])
    turn = query.pose[:, 2] - match.pose[:, 2]
    turned = np.abs(wrap_angle(turn[:, None] - turn))
    # Poses of different segments do not compare.
    comparable = (query.segment[:, None] == query.segment) & (
        match.segment[:, None] == match.segment
    )
    agree: NDArray[np.bool_] = (
        (apart <= tolerance_m + _WINDOW_DRIFT * path_length)
        & (turned <= _MAX_TURN_RAD)
        & comparable
        & (query.number[:, None] != query.number)
    )
    return agree


def _steps(pose: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return how far ahead and to the left pose j is of pose i: two arrays [n, n] for [n, 3]."""
    cos, sin = np.cos(pose[:, 2, None]), np.sin(pose[:, 2, None])
    east, north = (pose[:, axis] - pose[:, axis, None] for axis in (0, 1))
    return cos * east + sin * north, cos * north - sin * east


def _length(x: FloatArray, y: FloatArray) -> FloatArray:
    """Return the lengths of vectors; `norm` takes ten times as long."""
    far: FloatArray = np.sqrt(x * x + y * y)
    return far


def grow_clique(agree: NDArray[np.bool_], evidence: FloatArray, seed: int) -> IntArray:
    """Return pairs that all agree with each other: the seed, then the strongest first."""
    order = np.argsort(-evidence, kind="stable")
    clique, free = [seed], (agree[seed] & (evidence > 0.0))[order]
    while free[first := int(free.argmax())]:
        strongest = int(order[first])
        clique.append(strongest)
        free &= agree[strongest][order]
    return np.array(clique, np.int64)
