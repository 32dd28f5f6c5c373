"""Inliers that an image shares with images of one place, to tell at which of them they peak."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from progeo_core.geo import FloatArray

# An image is compared with so many images near the best one, while one of them may be this much as
# probable as the best.
_MAX_NEAR, _MIN_SHARE = 5, 0.3


class Peak(NamedTuple):
    """Inliers of the images [n] of one place, and the log odds of each, 0 of the best.

    inliers: of an image that was not compared as of the nearest one that was; NaN where none was,
    which have log odds of 0.
    """

    inliers: FloatArray
    log_odds: FloatArray


def compare_near(
    weight: FloatArray,
    position: FloatArray,
    inliers: FloatArray,
    count: Callable[[int], float],
    slope: float,
    chance: float,
    finish: float,
) -> Peak:
    """Compare an image with the most probable images [n] of one place.

    weight: [n] before. position: [n, 3] metres. inliers: [n], NaN where an image was not compared;
    where none was, nothing is compared here, either. count: compares one. slope, chance: log odds
    for each e-fold of inliers, and how many of them any images share. finish: of the time (s) there
    is.
    """
    inliers, left = inliers.copy(), np.isnan(inliers)
    if left.all():
        return Peak(inliers, np.zeros(len(inliers)))
    distance = np.linalg.norm(position[:, None] - position[None], axis=-1)
    found = _as_nearest(inliers, distance)
    log_odds = slope * np.log(found + chance)
    for _ in range(_MAX_NEAR):
        odds = np.log(np.maximum(weight, 1e-300)) + log_odds
        share = np.exp(odds - odds.max())
        image = int(np.where(left, share, -1.0).argmax())
        if not left[image] or share[image] < _MIN_SHARE or time.monotonic() >= finish:
            break
        inliers[image], left[image] = count(image), False
        found = _as_nearest(inliers, distance)
        log_odds = slope * np.log(found + chance)
    return Peak(found, log_odds - log_odds.max())


def _as_nearest(inliers: FloatArray, distance: FloatArray) -> FloatArray:
    """Return inliers [n], of those that are unknown as of the nearest known one."""
    known = np.flatnonzero(np.isfinite(inliers))
    nearest: FloatArray = inliers[known[distance[:, known].argmin(axis=1)]]
    return nearest
