"""Calibration of a map's confidence by images with known positions; the fit is saved in the map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from progeo_core.descriptors.encoder import Encoder
from progeo_core.errors import DataError
from progeo_core.evaluation.metrics import reliability
from progeo_core.evaluation.queries import answer_records
from progeo_core.geo import FloatArray
from progeo_core.localization.answer import Localization
from progeo_core.localization.localizer_settings import LEAST_VERIFICATION_MS
from progeo_core.map.confidence_calibration import Calibration, ConfidenceCurve, fit_curve
from progeo_core.map.place_map import PlaceMap
from progeo_core.progress import Advance, no_progress
from progeo_core.records.records import Records

if TYPE_CHECKING:
    from progeo_core.inference.feature_extractor import FeatureExtractor

# Fewer answers do not determine the shares of a curve.
_MIN_ANSWERS = 20


class CurveFit(NamedTuple):
    """Calibration curve and the expected calibration error before and after it.

    after: measured by two-fold cross-validation. The curve changes nothing unless that is better.
    """

    curve: ConfidenceCurve
    answers: int
    before: float
    after: float

    @property
    def is_better(self) -> bool:
        """Whether answers that a curve was not fitted to are better calibrated by it."""
        return self.after < self.before


class CalibrationReport(NamedTuple):
    """Fitted curves, the radius (m) of the confidence, and the skipped images with reasons.

    sequence: None where only single images were fitted.
    """

    single: CurveFit
    sequence: CurveFit | None
    radius_m: float
    skipped: tuple[str, ...]


def calibrate_map(
    place_map: PlaceMap,
    records: Records,
    encoder: Encoder,
    *,
    sequence: bool = False,
    extractor: FeatureExtractor | None = None,
    advance: Advance = no_progress,
) -> CalibrationReport:
    """Fit the confidence to images that are not in the map, and save in the map what is better.

    sequence: the records are one traverse in order, and the place filter is fitted, too.
    extractor: see `PreparedMap`. Raises
    `DataError` for fewer than 20 usable images, and what `answer_records` raises.
    """
    answered, truth = answer_records(
        place_map,
        records,
        encoder,
        sequence=sequence,
        verification_ms=LEAST_VERIFICATION_MS,
        extractor=extractor,
        advance=advance,
    )
    if len(answered.rows) < _MIN_ANSWERS:
        raise DataError(
            f"{len(answered.rows)} images can be used, a calibration needs {_MIN_ANSWERS} or more"
        )
    old = place_map.calibration() or Calibration()
    single = _fit(answered.single, truth.position, answered.radius_m)
    followed = _fit(answered.sequence, truth.position, answered.radius_m) if sequence else None
    place_map.set_calibration(
        Calibration(
            old.single.then(single.curve),
            old.sequence.then(followed.curve) if followed else old.sequence,
        )
    )
    return CalibrationReport(single, followed, answered.radius_m, tuple(answered.skipped))


def _fit(answers: Sequence[Localization], truth: FloatArray, radius_m: float) -> CurveFit:
    confidence = np.array([answer.estimate.confidence for answer in answers])
    position = np.stack([answer.estimate.position for answer in answers])
    right = np.linalg.norm((position - truth)[:, :2], axis=1) <= radius_m
    # The two halves of the traverse, as neighbouring images share their errors.
    first = np.arange(len(right)) < len(right) // 2
    errors = [_error_after(confidence, right, fitted) for fitted in (first, ~first)]
    before = reliability(confidence, right).expected_error
    found = CurveFit(fit_curve(confidence, right), len(right), before, float(np.mean(errors)))
    return found if found.is_better else found._replace(curve=ConfidenceCurve())


def _error_after(
    confidence: FloatArray, right: NDArray[np.bool_], fitted: NDArray[np.bool_]
) -> float:
    """Return the error on the answers that a curve was not fitted to."""
    curve = fit_curve(confidence[fitted], right[fitted])
    stated = np.array([curve.apply(float(value)) for value in confidence[~fitted]])
    return reliability(stated, right[~fitted]).expected_error
