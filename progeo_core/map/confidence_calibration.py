"""Make stated confidences true: a logistic curve through what was right (Platt 1999)."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from progeo_core.geo import FloatArray

# No confidence is taken to be surer than this: its log odds would be infinite.
_SUREST = 1.0 - 1e-6
# Answers that a curve's start counts as: it holds where there are few or only right ones.
_PRIOR_ANSWERS = 1.0
_NEWTON_STEPS = 50


class ConfidenceCurve(NamedTuple):
    """Map a confidence to how often it is right: log odds become offset + slope * log odds."""

    offset: float = 0.0
    slope: float = 1.0

    def apply(self, confidence: float) -> float:
        """Return the share of answers of this confidence (0-1) that is right."""
        if self == ConfidenceCurve():
            return confidence
        log_odds = self.offset + self.slope * float(_log_odds(np.array(confidence)))
        return 0.5 * (1.0 + math.tanh(log_odds / 2.0))

    def then(self, other: ConfidenceCurve) -> ConfidenceCurve:
        """Return the curve that applies this one and then another."""
        return ConfidenceCurve(other.offset + other.slope * self.offset, other.slope * self.slope)


class Calibration(NamedTuple):
    """Hold the curves for single images and for sequences.

    A sequence is surer than its filter says, whose evidence is damped as neighbouring images err
    alike: the slope was fitted on laps of a corridor and of a campus and held on another corridor.
    """

    single: ConfidenceCurve = ConfidenceCurve()
    sequence: ConfidenceCurve = ConfidenceCurve(0.0, 1.3)


def fit_curve(confidence: FloatArray, right: NDArray[np.bool_]) -> ConfidenceCurve:
    """Return the most probable curve for confidences [n] and whether the answers were right [n].

    Newton's method on the logistic likelihood, drawn towards leaving confidences as they are.
    """
    features = np.stack([np.ones(len(confidence)), _log_odds(confidence)], axis=-1)
    start = np.array([0.0, 1.0])
    curve = start
    for _ in range(_NEWTON_STEPS):
        stated = 0.5 * (1.0 + np.tanh(features @ curve / 2.0))
        gradient = features.T @ (stated - right) + _PRIOR_ANSWERS * (curve - start)
        spread = (stated * (1.0 - stated))[:, None]
        step = np.linalg.solve(
            features.T @ (features * spread) + _PRIOR_ANSWERS * np.eye(2), gradient
        )
        curve = curve - step / max(1.0, float(np.abs(step).max()))
    # A falling curve would trust what is least sure; so few or odd answers teach nothing.
    return ConfidenceCurve(float(curve[0]), max(float(curve[1]), 0.0))


def _log_odds(confidence: FloatArray) -> FloatArray:
    bounded = np.clip(confidence, 1.0 - _SUREST, _SUREST)
    odds: FloatArray = np.log(bounded / (1.0 - bounded))
    return odds
