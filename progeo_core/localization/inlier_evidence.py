"""What the inliers that an image shares with some places say about which of them is right."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from progeo_core.geo import FloatArray
from progeo_core.localization.fitted_constants import VerificationConstants
from progeo_core.localization.look_alikes import MANY_ALIKE

# What is usual for any image counts as so many places that were compared, hardly at all where all
# places look alike; how much wrong places differ as so many.
_USUAL_IMAGES, _MIN_USUAL, _USUAL_SPREADS = 1.0, 0.05, 5.0
# In a sequence, the lead of a place is that over so many which it believes most: of many others,
# one shares more by chance.
_RIVALS = 5


class Compared(NamedTuple):
    """Places [m] of a map that an image was compared with, and what tells how much that says.

    inliers: [m], NaN where a place was not compared, which has log odds of 0. position: [m, 3]
    metres. apart_m: places farther from each other than this do not show the same. look_alikes:
    share of the map's places that look like some elsewhere; the more, the farther a place has to
    be ahead of the others. detail: share of the usual number of features that the image has; what
    a blank wall does not share with a place says little against it.
    """

    inliers: FloatArray
    position: FloatArray
    apart_m: float
    look_alikes: float = 0.0
    detail: float = 1.0

    def first(self, count: int) -> Compared:
        """Return the first of the places."""
        return self._replace(inliers=self.inliers[:count], position=self.position[:count])


def inlier_log_odds(compared: Compared, fitted: VerificationConstants) -> FloatArray:
    """Return the log odds of places [m], by their lead, against all that was not compared."""
    inliers, position, apart_m, look_alikes, detail = compared
    known = np.isfinite(inliers)
    log_odds = np.zeros(len(inliers))
    if not known.any():
        return log_odds
    found = inliers[known]
    elsewhere = _elsewhere(position[known], apart_m)
    rival = np.where(elsewhere, found[None], 0.0).max(axis=1)
    even = np.maximum(fitted.even_inliers, rival) + fitted.chance_inliers
    excess = np.log((found + fitted.chance_inliers) / even)
    # Of places that are all wrong but look alike, one is ahead of the others, too.
    demanded = fitted.slope * fitted.alike_lead * look_alikes
    odds = np.clip(fitted.slope * excess - demanded, fitted.lowest - demanded, fitted.highest)
    log_odds[known] = np.where(odds < 0.0, detail * odds, odds)
    return log_odds


def image_log_odds(compared: Compared, fitted: VerificationConstants) -> FloatArray:
    """Return the log odds of places [m] against all that was not compared, of one image by itself.

    Logarithms of inliers are normal: of right places around what is usual, of wrong ones around
    what is usual for this image, which all that was compared elsewhere tells, and what is usual for
    any image where little was. So a place needs a large lead over one or two others, a smaller one
    over many that agree. (Predictive of a normal-inverse-gamma prior: Murphy 2007, Conjugate
    Bayesian analysis of the Gaussian distribution, equations 85 to 89 and 99.)
    """
    inliers, position, apart_m, look_alikes, detail = compared
    known = np.isfinite(inliers)
    log_odds = np.zeros(len(inliers))
    chance = fitted.chance_inliers
    found = np.log(inliers[known] + chance)
    usual = math.log(fitted.wrong_inliers + chance)
    others = _elsewhere(position[known], apart_m)
    count = others.sum(axis=1)
    mean = others @ found / np.maximum(count, 1)
    squares = np.where(others, (found[None] - mean[:, None]) ** 2, 0.0).sum(axis=1)
    # Where places look alike, what is usual elsewhere says little.
    weight = max(_MIN_USUAL, _USUAL_IMAGES * (1.0 - look_alikes))
    level = (weight * usual + count * mean) / (weight + count)
    shift = weight * count * (mean - usual) ** 2 / (weight + count)
    freedom = _USUAL_SPREADS + count
    scale = (_USUAL_SPREADS * fitted.wrong_spread**2 + squares + shift) / freedom
    scale *= (weight + count + 1) / (weight + count)
    wrong = _log_student_t((found - level) / np.sqrt(scale), freedom) - 0.5 * np.log(scale)
    right = shortfall_log_odds(inliers[known], fitted)
    right -= 0.5 * math.log(2.0 * math.pi) + math.log(fitted.right_spread)
    odds = np.clip(right - wrong, fitted.lowest, fitted.highest)
    odds -= fitted.alike_odds * look_alikes
    log_odds[known] = np.where(odds < 0.0, detail * odds, odds)
    return log_odds


def shortfall_log_odds(inliers: FloatArray, fitted: VerificationConstants) -> FloatArray:
    """Return the log odds, 0 at most, by how far inliers [m] fall short of what is usual."""
    chance = fitted.chance_inliers
    log_ratio = np.log((inliers + chance) / (fitted.right_inliers + chance))
    log_odds: FloatArray = -0.5 * (np.minimum(log_ratio, 0.0) / fitted.right_spread) ** 2
    return log_odds


def sequence_log_odds(compared: Compared, fitted: VerificationConstants) -> FloatArray:
    """Return the log odds of places [m] of a sequence, the most probable first.

    What says more for a place counts: its lead over the best of a few others, or how far it is
    ahead of all that was compared (`image_log_odds`), but not the latter where many places look
    alike.
    """
    odds = inlier_log_odds(compared, fitted)
    if compared.look_alikes > MANY_ALIKE:
        return odds
    odds[:_RIVALS] = inlier_log_odds(compared.first(_RIVALS), fitted)
    return np.maximum(odds, image_log_odds(compared, fitted))


def _elsewhere(position: FloatArray, apart_m: float) -> NDArray[np.bool_]:
    """Return which places [m, m] do not show the same."""
    elsewhere: NDArray[np.bool_] = (
        np.linalg.norm(position[:, None] - position[None], axis=-1) > apart_m
    )
    return elsewhere


def _log_student_t(value: FloatArray, freedom: FloatArray) -> FloatArray:
    """Return the log density of Student's t with so many degrees of freedom."""
    scale = np.array(
        [
            math.lgamma((one + 1.0) / 2.0) - math.lgamma(one / 2.0) - 0.5 * math.log(math.pi * one)
            for one in freedom.tolist()
        ]
    )
    density: FloatArray = scale - (freedom + 1.0) / 2.0 * np.log1p(value**2 / freedom)
    return density
