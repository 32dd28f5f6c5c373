"""What the inliers that an image shares with some places say about which of them is right."""

from __future__ import annotations

import numpy as np

from progeo_core.geo import FloatArray
from progeo_core.localization.fitted_constants import VerificationConstants


def inlier_log_odds(
    inliers: FloatArray, position: FloatArray, apart_m: float, fitted: VerificationConstants
) -> FloatArray:
    """Return the log odds of places [m] against all that was not compared.

    inliers: [m], NaN where a place was not compared, which has log odds of 0. position: [m, 3]
    metres. apart_m: places farther from each other than this do not show the same. Where others
    share as many inliers with the image, as floors that are built to one plan do, they say little.
    """
    known = np.isfinite(inliers)
    log_odds = np.zeros(len(inliers))
    if not known.any():
        return log_odds
    amount = np.log(np.maximum(inliers[known], fitted.chance_inliers))
    offset = position[known][:, None] - position[known][None]
    elsewhere = np.linalg.norm(offset, axis=-1) > apart_m
    rival = np.where(elsewhere, amount[None], -np.inf).max(axis=1)
    # Without another place there is no margin to judge by.
    margin = np.where(np.isfinite(rival), amount - rival, 0.0)
    excess = amount - np.log(fitted.even_inliers)
    log_odds[known] = np.clip(
        fitted.slope * excess + fitted.margin_slope * margin, fitted.lowest, fitted.highest
    )
    return log_odds
