"""Metrics of localization against ground truth: recall, position error, calibration.

Distances are horizontal, as in the published benchmarks. A query counts at N if one of its N best
places lies within the radius of the truth; queries without any such place in the database stay in
that denominator. An answer is right if its position lies within the radius.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from progeo_core.errors import DataError, counted
from progeo_core.evaluation.time_to_localize import TimeToLocalize, measure_time_to_localize
from progeo_core.geo import FloatArray
from progeo_core.localization.answer import Localization

SCHEMA = 1
_RECALL_AT = (1, 5, 10, 20)
_PRECISIONS = (1.0, 0.99)
_ELLIPSES = (0.5, 0.9, 0.99)
_BINS = 10

BoolArray = NDArray[np.bool_]


class PrecisionRecall(NamedTuple):
    """Precision and recall when answers down to each confidence are accepted, all [t].

    Confidence falls along the arrays; equal confidences are one point. Recall is out of the
    queries that the database can answer.
    """

    confidence: FloatArray
    precision: FloatArray
    recall: FloatArray

    @property
    def area(self) -> float:
        """Return the area under the curve as average precision (no interpolation)."""
        return float(np.sum(np.diff(self.recall, prepend=0.0) * self.precision))

    def recall_at(self, precision: float) -> float:
        """Return the largest recall at a threshold with at least this precision, else 0."""
        return float(self.recall[self.precision >= precision].max(initial=0.0))


class Reliability(NamedTuple):
    """Reliability diagram: per bin [b] answers, mean confidence and share right (NaN if empty)."""

    answers: NDArray[np.int64]
    confidence: FloatArray
    right: FloatArray

    @property
    def expected_error(self) -> float:
        """Return the expected calibration error: the gap weighted by answers (Guo 2017, eq. 3)."""
        gap = np.abs(np.nan_to_num(self.right - self.confidence))
        return float(np.average(gap, weights=self.answers)) if self.answers.any() else math.nan


class Consistency(NamedTuple):
    """Consistency of the covariances of accepted answers with their errors in x and y.

    coverage: share of true positions inside the 50, 90 and 99 % ellipses. nees: mean normalised
    estimation error squared, 2 if consistent. All NaN where nothing was accepted.
    """

    answers: int
    coverage: tuple[float, ...]
    nees: float


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """Metrics of one run over queries with known positions.

    error_m, right, accepted, localizable: [n], one per query in order; localizable: whether the
    database has a place within the radius. chance: recall of a place taken at random, the share of
    the database within the radius of a query. sequence: the same for the answers of the place
    filter. follows: whether these are its answers themselves.
    """

    radius_m: float
    database: int
    recall_at: dict[int, float]
    error_m: FloatArray
    right: BoolArray
    accepted: BoolArray
    localizable: BoolArray
    chance: float
    precision_recall: PrecisionRecall
    reliability: Reliability
    consistency: Consistency
    time_to_localize: TimeToLocalize
    sequence: Evaluation | None = None
    follows: bool = False

    @property
    def runs(self) -> dict[str, Evaluation]:
        """Return the runs that are known by their names, single images first."""
        runs = {"sequence" if self.follows else "single image": self}
        return runs if self.sequence is None else {**runs, "sequence": self.sequence}

    @property
    def published(self) -> Evaluation:
        """Return the run whose answers a node would publish: the sequence, where it is known."""
        return self.sequence or self

    @property
    def queries(self) -> int:
        """Return the number of queries."""
        return len(self.error_m)

    @property
    def false_accepts(self) -> int:
        """Return how many accepted answers are wrong."""
        return int(np.sum(self.accepted & ~self.right))

    @property
    def off_map_accepts(self) -> int:
        """Return how many queries were accepted though the database cannot answer them."""
        return int(np.sum(self.accepted & ~self.localizable))

    def to_json(self) -> dict[str, Any]:
        """Return the figures by their documented JSON keys; undefined values are None."""
        figures: dict[str, Any] = {
            "schema": SCHEMA,
            "queries": self.queries,
            "database": self.database,
            "protocol": protocol_json(self.radius_m, int(self.localizable.sum())),
            **self._figures(),
        }
        if "sequence" in self.runs:
            figures["sequence"] = self.runs["sequence"]._figures()
        return figures

    def _figures(self) -> dict[str, Any]:
        """Return the figures of this run alone, without those of its sequence."""
        return {
            "recall_at": {str(n): value for n, value in self.recall_at.items()},
            "position_error_m": {
                "median": _quantile(self.error_m, 0.5),
                "p90": _quantile(self.error_m, 0.9),
            },
            "recall_at_precision": {
                f"{precision:.2f}": self.precision_recall.recall_at(precision)
                for precision in _PRECISIONS
            },
            "auc_pr": self.precision_recall.area,
            "accepted": int(self.accepted.sum()),
            "false_accepts": self.false_accepts,
            "off_map_accepts": self.off_map_accepts,
            "calibration": {
                "ece": _number(self.reliability.expected_error),
                "bins": [
                    {"count": int(count), "confidence": _number(stated), "right": _number(seen)}
                    for count, stated, seen in zip(*self.reliability, strict=True)
                ],
            },
            "ellipse_coverage": {
                f"{level:.2f}": _number(share)
                for level, share in zip(_ELLIPSES, self.consistency.coverage, strict=True)
            },
            "nees": _number(self.consistency.nees),
            "relocalization": self.time_to_localize.to_json(),
        }


def protocol_json(radius_m: float, with_positives: int) -> dict[str, Any]:
    """Return how recalls are counted by its documented JSON keys.

    with_positives: queries with an image of the database within the radius.
    """
    return {
        "radius_m": radius_m,
        "distance": "horizontal",
        "counted": "all queries; those without a place within the radius count as missed",
        "with_positives": with_positives,
    }


def evaluate(
    localizations: Sequence[Localization],
    truth_position: FloatArray,
    database_position: FloatArray,
    radius_m: float,
    sequence: Sequence[Localization] | None = None,
    *,
    follows: bool = False,
) -> Evaluation:
    """Compare answers with the true positions, both in the metres of the map.

    localizations: [n] answers to single images, or, if it `follows`, of the place filter.
    truth_position: [n, 3]. database_position: [m, 3].
    sequence: [n] answers of the place filter to the same queries, if it ran, too.
    Raises `DataError` without queries, or where answers and truths differ in number.
    """
    if not len(localizations) or len(localizations) != len(truth_position):
        raise DataError(
            f"{len(localizations)} answers for {len(truth_position)} true positions:"
            " evaluation needs one answer for each, and at least one"
        )
    estimates = np.stack([answer.estimate.position for answer in localizations])
    offset = (estimates - truth_position)[:, :2]
    error = np.linalg.norm(offset, axis=1)
    confidence = np.array([answer.estimate.confidence for answer in localizations])
    accepted = np.array([answer.accepted for answer in localizations])
    share = _share_within(truth_position, database_position, radius_m)
    localizable = share > 0.0
    right = error <= radius_m
    return Evaluation(
        radius_m=radius_m,
        database=len(database_position),
        recall_at=_recall_at(localizations, truth_position, radius_m),
        error_m=error,
        right=right,
        accepted=accepted,
        localizable=localizable,
        chance=float(share.mean()),
        precision_recall=precision_recall(confidence, right, int(localizable.sum())),
        reliability=reliability(confidence, right),
        consistency=_consistency(localizations, offset, accepted),
        time_to_localize=measure_time_to_localize(
            truth_position,
            localizable,
            right & accepted,
            np.array([answer.stamp_ns for answer in localizations], np.int64),
            radius_m,
        ),
        sequence=evaluate(sequence, truth_position, database_position, radius_m, follows=True)
        if sequence is not None
        else None,
        follows=follows,
    )


def precision_recall(confidence: FloatArray, right: BoolArray, possible: int) -> PrecisionRecall:
    """Return the curve over all thresholds; recall is the share of `possible` right answers."""
    order = np.argsort(-confidence, kind="stable")
    last_of_ties = np.append(np.diff(confidence[order]) != 0.0, True)
    hits = np.cumsum(right[order])[last_of_ties]
    answers = np.arange(1, len(order) + 1)[last_of_ties]
    return PrecisionRecall(
        confidence[order][last_of_ties], hits / answers, np.minimum(hits / max(possible, 1), 1.0)
    )


def reliability(confidence: FloatArray, right: BoolArray) -> Reliability:
    """Return mean confidence and share right in ten bins of equal width."""
    bin_of = np.minimum((confidence * _BINS).astype(np.int64), _BINS - 1)
    count = np.bincount(bin_of, minlength=_BINS)
    with np.errstate(invalid="ignore"):
        return Reliability(
            count,
            np.bincount(bin_of, weights=confidence, minlength=_BINS) / count,
            np.bincount(bin_of, weights=right, minlength=_BINS) / count,
        )


def _recall_at(
    localizations: Sequence[Localization], truth_position: FloatArray, radius_m: float
) -> dict[int, float]:
    """Return the share of queries with a place within the radius among their N best."""
    first_hit = np.full(len(localizations), np.inf)
    for query, (answer, truth) in enumerate(zip(localizations, truth_position, strict=True)):
        places = np.array([match.position for match in answer.matches]).reshape(-1, 3)
        hits = np.flatnonzero(np.linalg.norm((places - truth)[:, :2], axis=1) <= radius_m)
        if hits.size:
            first_hit[query] = hits[0]
    return {n: float(np.mean(first_hit < n)) for n in _RECALL_AT}


def _share_within(truth: FloatArray, database: FloatArray, radius_m: float) -> FloatArray:
    """Return which share of the database lies within the radius of each true position [n]."""
    return np.array(
        [(np.linalg.norm((database - point)[:, :2], axis=1) <= radius_m).mean() for point in truth]
    )


def _consistency(
    localizations: Sequence[Localization], offset: FloatArray, accepted: BoolArray
) -> Consistency:
    """Return the consistency of the accepted answers' covariances with the errors [n, 2]."""
    if not accepted.any():
        return Consistency(0, (math.nan,) * len(_ELLIPSES), math.nan)
    covariance = np.stack([answer.estimate.covariance[:2, :2] for answer in localizations])
    solved = np.linalg.solve(covariance[accepted], offset[accepted][..., None])[..., 0]
    nees = np.sum(offset[accepted] * solved, axis=1)
    # The chi-square quantile with two degrees of freedom has this closed form.
    coverage = tuple(float(np.mean(nees <= -2.0 * math.log(1.0 - level))) for level in _ELLIPSES)
    return Consistency(len(nees), coverage, float(nees.mean()))


def _quantile(values: FloatArray, level: float) -> float | None:
    """Return a quantile of the finite values, None without any."""
    finite = values[np.isfinite(values)]
    return float(np.quantile(finite, level)) if finite.size else None


def _number(value: float) -> float | None:
    """Return a value for JSON: None for NaN."""
    return None if math.isnan(value) else float(value)


class FigureRow(NamedTuple):
    """Name of a figure and its value, both as text for tables."""

    name: str
    value: str


def figure_rows(run: Evaluation) -> list[FigureRow]:
    """Return the main figures of one run as the rows of a table."""
    figures = run.to_json()
    error, sure = figures["position_error_m"], figures["recall_at_precision"]
    return [
        *(FigureRow(f"Recall@{n}", f"{value:.3f}") for n, value in run.recall_at.items()),
        FigureRow("position error, median", metres(error["median"])),
        FigureRow("position error, 90 %", metres(error["p90"])),
        FigureRow("recall at 100 % precision", f"{sure['1.00']:.3f}"),
        FigureRow("recall at 99 % precision", f"{sure['0.99']:.3f}"),
        FigureRow("area under precision-recall", f"{figures['auc_pr']:.3f}"),
        FigureRow("accepted", str(figures["accepted"])),
        FigureRow("accepted but wrong", str(figures["false_accepts"])),
        FigureRow("images until found", _until_found(figures["relocalization"])),
        FigureRow("expected calibration error", _decimal(figures["calibration"]["ece"])),
        FigureRow("truths in the 90 % ellipse", _decimal(figures["ellipse_coverage"]["0.90"])),
    ]


def metres(value: float | None, digits: int = 2) -> str:
    """Return a distance as text, in km from 1000 m on, "none" where it is undefined."""
    if value is None:
        return "none"
    return f"{value:.{digits}f} m" if value < 1000.0 else f"{value / 1000.0:.{digits}f} km"


def radius_text(radius_m: float) -> str:
    """Return a radius as it was given, or with two decimals where a map told it."""
    return f"{round(radius_m, 2):g} m"


def _until_found(time_to_localize: dict[str, Any]) -> str:
    """Return the median number of images until a start was found, and how many were found."""
    median = time_to_localize["images"]["median"]
    found = f"{time_to_localize['found']} of {counted(time_to_localize['starts'], 'start')}"
    return f"never, {found}" if median is None else f"{median:.0f}, {found}"


def _decimal(value: float | None) -> str:
    return "none" if value is None else f"{value:.3f}"
