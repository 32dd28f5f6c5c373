"""Whether landmarks of a place are where the images of other places see them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from progeo_core.geo import FloatArray
from progeo_core.verification.feature_matching import mutual_matches
from progeo_core.verification.known_view import KnownView

IntArray = NDArray[np.int64]

# Places of a drive see much of what those before and after them see: so many each way are asked.
_BESIDE = 2
# Matches with landmarks that another place needs to have a say.
_MIN_MATCHES = 20
# A landmark is this close (pixels) to where another place sees it, if poses and depth are right.
_MAX_ERROR_PX = 12.0
# Of the matches with most of the places that have a say, a smaller share than this contradicts.
_MIN_AGREEMENT = 0.5


def rows_to_ask(row: int, count: int, neighbors: IntArray) -> IntArray:
    """Return the rows of the places that are asked whether they contradict one of `count`.

    neighbors: rows of those that see the same by their poses. With a wrong pose these are
    elsewhere, so those beside it in the drive are asked, too.
    """
    beside = np.arange(max(0, row - _BESIDE), min(count, row + _BESIDE + 1))
    return np.union1d(beside[beside != row], neighbors)


def contradicts(view: KnownView, landmarks: FloatArray, others: Sequence[KnownView]) -> bool:
    """Whether most other places see a place's landmarks [n, 3] elsewhere, by at least two.

    landmarks: (m) of its features in the map frame, NaN unknown.
    """
    shares = np.array([_agreement(view, landmarks, other) for other in others])
    known = shares[np.isfinite(shares)]
    return bool(len(known) >= 2 and np.median(known) < _MIN_AGREEMENT)


def _agreement(view: KnownView, landmarks: FloatArray, other: KnownView) -> float:
    """Return the share of the matches with another place that it sees where they should be."""
    known = np.flatnonzero(np.isfinite(landmarks).all(axis=1))
    matches = mutual_matches(view.descriptors[known], other.descriptors)
    if len(matches.first) < _MIN_MATCHES:
        return float("nan")
    inside = other.pose.to_camera(landmarks[known[matches.first]])
    with np.errstate(divide="ignore", invalid="ignore"):
        error = np.linalg.norm(inside[:, :2] / inside[:, 2:] - other.rays[matches.second], axis=1)
        near = (inside[:, 2] > 0.0) & (error < _MAX_ERROR_PX * other.pixel)
    return float(near.mean())
