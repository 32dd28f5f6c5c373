"""Inliers that an image shares with images of one place, to tell at which of them they peak."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from progeo_core.geo import FloatArray

# An image is compared with so many images near the best one, while one of them may be this much as
# probable as the best.
_MAX_NEAR, _MIN_SHARE = 5, 0.3


def compare_near(
    weight: FloatArray,
    position: FloatArray,
    inliers: FloatArray,
    count: Callable[[int], float],
    log_odds: Callable[[FloatArray], FloatArray],
    finish: float,
) -> FloatArray:
    """Return the inliers [n] of images of one place, the most probable ones compared.

    weight: [n] before. position: [n, 3] metres. inliers: [n], NaN where an image was not compared.
    count: compares one. log_odds: of inliers, up to a constant. finish: of the time (s) there is.
    What is left shares as much as the nearest image that was compared. Where none was, nothing is
    compared here, either.
    """
    inliers, left = inliers.copy(), np.isnan(inliers)
    if left.all():
        return inliers
    distance = np.linalg.norm(position[:, None] - position[None], axis=-1)
    found = _as_nearest(inliers, distance)
    for _ in range(_MAX_NEAR):
        odds = np.log(np.maximum(weight, 1e-300)) + log_odds(found)
        share = np.exp(odds - odds.max())
        image = int(np.where(left, share, -1.0).argmax())
        if not left[image] or share[image] < _MIN_SHARE or time.monotonic() >= finish:
            break
        inliers[image], left[image] = count(image), False
        found = _as_nearest(inliers, distance)
    return found


def _as_nearest(inliers: FloatArray, distance: FloatArray) -> FloatArray:
    """Return inliers [n], of those that are unknown as of the nearest known one."""
    known = np.flatnonzero(np.isfinite(inliers))
    nearest: FloatArray = inliers[known[distance[:, known].argmin(axis=1)]]
    return nearest
