"""Do two loop closures agree with the odometry between them? Cliques of those that do.

After Mangelson, Dominic, Eustice, Vasudevan 2018, "Pairwise Consistent Measurement Set
Maximization for Robust Multi-robot Map Merging": right closures agree with each other, wrong ones
seldom do. The largest clique is found greedily, by evidence.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from progeo_core.geo import FloatArray, wrap_angle
from progeo_core.planar_pose import between

IntArray = NDArray[np.int64]

# Share of the way by which odometry may err between the images of one window.
_WINDOW_DRIFT = 0.05
# Views with much different directions do not look alike (rad).
_MOST_TURN_RAD = 0.6


class Ends(NamedTuple):
    """Hold one end of n pairs: number [n], pose [n, 3] and segment [n] of its keyframes."""

    number: IntArray
    pose: FloatArray
    segment: IntArray


def consistent_pairs(query: Ends, match: Ends, tolerance_m: float) -> NDArray[np.bool_]:
    """Return which of n pairs agree with which [n, n]; pairs of one query never agree.

    tolerance_m: how far apart two images of one place may be taken.
    """
    moved = between(query.pose[:, None], query.pose[None, :])
    expected = between(match.pose[:, None], match.pose[None, :])
    way = np.maximum(_length(moved), _length(expected))
    apart = _length(moved - expected)
    turned = np.abs(wrap_angle(moved[..., 2] - expected[..., 2]))
    # Poses of different segments do not compare.
    comparable = (query.segment[:, None] == query.segment) & (
        match.segment[:, None] == match.segment
    )
    agree: NDArray[np.bool_] = (
        (apart <= tolerance_m + _WINDOW_DRIFT * way)
        & (turned <= _MOST_TURN_RAD)
        & comparable
        & (query.number[:, None] != query.number)
    )
    return agree


def _length(pose: FloatArray) -> FloatArray:
    """Return how far [...] poses [..., 3] are from the origin; `norm` takes ten times as long."""
    x, y = pose[..., 0], pose[..., 1]
    far: FloatArray = np.sqrt(x * x + y * y)
    return far


def grow_clique(agree: NDArray[np.bool_], evidence: FloatArray, seed: int) -> IntArray:
    """Return the pairs, seed first, that all agree with each other: the strongest first."""
    order = np.argsort(-evidence, kind="stable")
    clique, free = [seed], (agree[seed] & (evidence > 0.0))[order]
    while free[first := int(free.argmax())]:
        strongest = int(order[first])
        clique.append(strongest)
        free &= agree[strongest][order]
    return np.array(clique, np.int64)
