"""What the inliers that an image shares with some places say about which of them is right."""

from __future__ import annotations

import numpy as np

from progeo_core.geo import FloatArray
from progeo_core.localization.fitted_constants import VerificationConstants


def inlier_log_odds(
    inliers: FloatArray,
    position: FloatArray,
    apart_m: float,
    fitted: VerificationConstants,
    look_alikes: float = 0.0,
    detail: float = 1.0,
    single: bool = False,
) -> FloatArray:
    """Return the log odds of places [m] against all that was not compared.

    inliers: [m], NaN where a place was not compared, which has log odds of 0. position: [m, 3]
    metres. apart_m: places farther from each other than this do not show the same. look_alikes:
    share of the map's places that look like some elsewhere; the more, the farther a place has to
    be ahead of the others. detail: share of the usual number of features that the image has; what
    a blank wall does not share with a place says little against it. single: whether nothing else
    than how an image looks tells where it is from.
    """
    known = np.isfinite(inliers)
    log_odds = np.zeros(len(inliers))
    if not known.any():
        return log_odds
    found = inliers[known]
    offset = position[known][:, None] - position[known][None]
    elsewhere = np.linalg.norm(offset, axis=-1) > apart_m
    rival = np.where(elsewhere, found[None], 0.0).max(axis=1)
    even = np.maximum(fitted.even_inliers, rival) + fitted.chance_inliers
    excess = np.log((found + fitted.chance_inliers) / even)
    slope = fitted.single_slope if single else fitted.slope
    # Of places that are all wrong but look alike, one is ahead of the others, too.
    demanded = slope * fitted.alike_lead * look_alikes
    odds = np.clip(slope * excess - demanded, fitted.lowest - demanded, fitted.highest)
    log_odds[known] = np.where(odds < 0.0, detail * odds, odds)
    return log_odds
