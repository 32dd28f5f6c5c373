"""Figures of the answers to one scene, and what they cost."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from progeo_core.evaluation.metrics import reliability
from progeo_core.geo import FloatArray

BoolArray = NDArray[np.bool_]

# A wrong answer weighs as much as so many right ones that are withheld.
_WRONG = 10.0
# Weights of the calibration error above what is wanted, and of the log loss.
_CALIBRATION, _UNCALIBRATED, _LOSS = 0.05, 1.0, 0.1
# Nine in ten of a normal distribution are within so many standard deviations.
_NINETY_PERCENT = 1.645


class Outcome(NamedTuple):
    """Answers [n] to the images of a scene.

    confidence: stated. accepted. right: within the radius of the truth. best_right: whether the
    best place is. on_map: whether the map has a place there. inside: of the 90 % ellipse.
    along: error along the way driven in stated standard deviations, NaN where the robot stood.
    clip: names of the clips.
    """

    confidence: FloatArray
    accepted: BoolArray
    right: BoolArray
    best_right: BoolArray
    on_map: BoolArray
    inside: BoolArray
    along: FloatArray
    clip: NDArray[np.str_]

    @property
    def loss(self) -> float:
        """Return the log loss: 0 for certain and right, 0.69 for knowing nothing."""
        stated = np.clip(self.confidence, 1e-4, 1.0 - 1e-4)
        return float(-np.mean(np.log(np.where(self.right, stated, 1.0 - stated))))


class Figures(NamedTuple):
    """Figures of one scene.

    on_map, off_map: images. recall: share of the former whose best place is right. accepted,
    wrong, off_map_accepted: images. share: accepted of those whose best place is right. ellipse:
    share of truths in the 90 % ellipses of right accepted answers. along: the same of the 90 %
    intervals along the way driven; where truths lie on the line of the map by how they were made,
    nothing errs aside, and an honest ellipse holds 97 %. first: image of the first right
    accepted one, counted from 1. found: share of the clips on the map of which a right answer was
    accepted. NaN where there is none.
    """

    on_map: int
    off_map: int
    recall: float
    accepted: int
    wrong: int
    off_map_accepted: int
    share: float
    calibration_error: float
    ellipse: float
    along: float
    first: float
    loss: float
    found: float

    @property
    def precision(self) -> float:
        """Return the share of accepted answers that are right, 1 where none is accepted."""
        everything = self.accepted + self.wrong + self.off_map_accepted
        return self.accepted / everything if everything else 1.0

    @property
    def cost(self) -> float:
        """Return what answers cost: wrong ones most, then withheld ones, then misstated ones."""
        wrong = self.wrong + self.off_map_accepted
        return (
            _WRONG * wrong / max(self.on_map + self.off_map, 1)
            + (0.0 if np.isnan(self.share) else 1.0 - self.share)
            + _UNCALIBRATED * max(0.0, self.calibration_error - _CALIBRATION)
            + _LOSS * self.loss
        )


def figures(outcome: Outcome) -> Figures:
    """Return the figures of a scene's answers."""
    good = outcome.accepted & outcome.right
    best = outcome.best_right & outcome.on_map
    return Figures(
        on_map=int(outcome.on_map.sum()),
        off_map=int((~outcome.on_map).sum()),
        recall=_mean(outcome.best_right[outcome.on_map]),
        accepted=int(good.sum()),
        wrong=int((outcome.accepted & outcome.on_map & ~outcome.right).sum()),
        off_map_accepted=int((outcome.accepted & ~outcome.on_map & ~outcome.right).sum()),
        share=_mean(outcome.accepted[best]),
        calibration_error=reliability(outcome.confidence, outcome.right).expected_error,
        ellipse=_mean(outcome.inside[good]),
        along=_mean(np.abs(outcome.along[good & np.isfinite(outcome.along)]) <= _NINETY_PERCENT),
        first=float(np.argmax(good)) + 1.0 if good.any() else np.nan,
        loss=outcome.loss,
        found=_mean(np.isin(np.unique(outcome.clip[outcome.on_map]), outcome.clip[good])),
    )


def _mean(values: BoolArray) -> float:
    return float(values.mean()) if values.size else float("nan")
