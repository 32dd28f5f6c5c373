"""What went wrong in a replay, as its figures show it, and what to tune: sentences and commands."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from progeo_core.evaluation.metrics import Evaluation, metres
from progeo_core.evaluation.replay import Replay
from progeo_core.geo import FloatArray

_Mask = NDArray[np.bool_]

# Farther than this from every place, in the middle, the images are of somewhere else (m).
_ELSEWHERE_M = 1000.0
# Shares of the images from which on something is worth a sentence.
_FEW, _MOST = 0.02, 0.5
# A wrong accepted answer is one in so many at the default confidence; more are too many.
_WRONG_SHARE = 0.1
# Near misses: a right place is this many radii away.
_NEAR = 3.0
# An answer that is off by so many radii misses by little.
_MISSED = 1.5
# Wrong answers whose match is less similar than this share of what right ones have see other light.
_UNLIKE = 0.6
_PRECISION = 0.99


class Finding(NamedTuple):
    """One thing that went wrong: what, how the figures show it, and what may fix it."""

    title: str
    text: str
    fixes: tuple[str, ...]


class _Figures(NamedTuple):
    """Columns [e] of the published answers: what is needed to judge them.

    gap_m: from the truth to the nearest place. match_m: from the truth to the most similar place.
    """

    run: Evaluation
    similarity: FloatArray
    confidence: FloatArray
    gap_m: FloatArray
    match_m: FloatArray


def find_problems(replay: Replay) -> list[Finding]:
    """Return what the answers with ground truth show, the worst first, if anything."""
    figures = _figures(replay)
    elsewhere = [*_elsewhere(replay, figures)]
    if elsewhere:
        return elsewhere
    return [
        *_wrong_radius(replay, figures),
        *_near_misses(figures),
        *_gaps(replay, figures),
        *_look_alikes(replay, figures),
        *_other_light(replay, figures),
        *_threshold(replay, figures),
        *_drops(replay),
    ]


def _figures(replay: Replay) -> _Figures:
    answers = [replay.localizations[one] for one in replay.evaluated]
    truth = replay.source.truth.position[replay.rows[replay.evaluated], :2]
    nowhere = np.full(2, np.nan)
    match = np.stack([one.matches[0].position[:2] if one.matches else nowhere for one in answers])
    gap_m, _ = KDTree(replay.source.places.position[:, :2]).query(truth)
    return _Figures(
        replay.evaluation.published,
        np.array([one.matches[0].similarity if one.matches else np.nan for one in answers]),
        np.array([one.estimate.confidence for one in answers]),
        gap_m,
        np.linalg.norm(match - truth, axis=1),
    )


def _elsewhere(replay: Replay, figures: _Figures) -> Iterator[Finding]:
    middle_m = float(np.median(figures.gap_m))
    if middle_m > _ELSEWHERE_M:
        source = replay.source
        yield Finding(
            "The images are not of this map",
            f"In the middle they are {metres(middle_m)} from the nearest place: another site, or"
            " another datum than that of the ground truth.",
            (f"progeo map info {source.map_path}", _addition(replay)),
        )


def _wrong_radius(replay: Replay, figures: _Figures) -> Iterator[Finding]:
    run, source = figures.run, replay.source
    missed = ~run.localizable & (figures.gap_m <= _NEAR * run.radius_m)
    if missed.mean() > _FEW:
        fit = float(np.quantile(figures.gap_m[missed], 0.95))
        yield Finding(
            "The radius is finer than the map",
            f"{_count(missed)} have no place within {metres(run.radius_m)}, but one within"
            f" {metres(fit)}: they count as missed whatever is answered.",
            (f"--radius {_round_up(fit)}",),
        )
    extent = float(np.linalg.norm(np.ptp(source.places.position[:, :2], axis=0)))
    if run.radius_m > extent / 2.0 > 0.0:
        yield Finding(
            "The radius is as wide as the map",
            f"Any answer within {metres(run.radius_m)} counts as right, and the whole map is"
            f" {metres(extent)} long, so these figures say little.",
            (f"--radius {_round_up(extent / 20.0)}",),
        )


def _near_misses(figures: _Figures) -> Iterator[Finding]:
    run = figures.run
    missed = run.localizable & ~run.right & (run.error_m <= _MISSED * run.radius_m)
    if missed.mean() > _FEW:
        fit = float(run.error_m[missed].max())
        yield Finding(
            "Answers miss the radius by little",
            f"{_count(missed)} are answered {metres(run.radius_m)} to {metres(fit)} from the truth,"
            " which counts as wrong. If that is near enough, the radius is too small; else map the"
            " site more densely, or with a calibration, for poses by landmarks.",
            (f"--radius {_round_up(fit)}", "progeo map structure MAP --camera-info camera.yaml"),
        )


def _gaps(replay: Replay, figures: _Figures) -> Iterator[Finding]:
    gap = ~figures.run.localizable & (figures.gap_m > _NEAR * figures.run.radius_m)
    if gap.mean() > _FEW:
        wrong = gap & figures.run.accepted
        yield Finding(
            "The map has gaps here",
            f"{_count(gap)} are up to {metres(float(figures.gap_m[gap].max()))} from the nearest"
            f" place ({_stretches(replay, gap)}); {int(wrong.sum())} of them were accepted.",
            (_addition(replay), f"progeo map view {replay.source.map_path}"),
        )


def _look_alikes(replay: Replay, figures: _Figures) -> Iterator[Finding]:
    run = figures.run
    usual = _usual_similarity(figures)
    alike = run.localizable & (figures.match_m > run.radius_m)
    alike &= figures.similarity >= _UNLIKE * usual
    if alike.mean() > _FEW:
        farthest = float(figures.match_m[alike].max())
        fixes = [f"progeo map view {replay.source.map_path}"]
        if not run.follows:
            fixes.append("sequence:=true of the node, or --sequence of progeo evaluate")
        yield Finding(
            "Other places look alike",
            f"For {_count(alike)} the most similar place is elsewhere, up to {metres(farthest)}"
            f" away ({_stretches(replay, alike)}), about as similar as right ones are.",
            tuple(fixes),
        )


def _other_light(replay: Replay, figures: _Figures) -> Iterator[Finding]:
    run = figures.run
    usual = _usual_similarity(figures)
    unlike = run.localizable & ~run.right & (figures.similarity < _UNLIKE * usual)
    if unlike.mean() > _FEW:
        typical = float(np.median(figures.similarity[unlike]))
        yield Finding(
            "The map shows these places in other light, or from another side",
            f"{_count(unlike)} are on the map, but nothing in it looks like them: similarity"
            f" {typical:.2f} in the middle, {usual:.2f} where answers are right"
            f" ({_stretches(replay, unlike)}).",
            (_addition(replay),),
        )


def _threshold(replay: Replay, figures: _Figures) -> Iterator[Finding]:
    run = figures.run
    accepted = max(int(run.accepted.sum()), 1)
    calibrate = f"progeo map calibrate {replay.source.map_path} --queries ANOTHER_TRAVERSE"
    if run.false_accepts > 1 and run.false_accepts / accepted > _WRONG_SHARE:
        curve = run.precision_recall
        sure = curve.confidence[curve.precision >= _PRECISION]
        fixes = [calibrate]
        if sure.size and sure.min() < 1.0:
            fixes.append(f"min_confidence:={sure.min():.3f} of the node")
        yield Finding(
            "The threshold is too low here",
            f"{run.false_accepts} of {accepted} accepted answers are wrong, more than confidence"
            " 0.9 promises.",
            tuple(fixes),
        )
    withheld = run.right & ~run.accepted
    if run.false_accepts == 0 and withheld.mean() > _MOST:
        yield Finding(
            "The threshold is higher than it needs to be here",
            f"{_count(withheld)} have a right answer that was not accepted, and no accepted one is"
            " wrong.",
            (calibrate,),
        )


def _drops(replay: Replay) -> Iterator[Finding]:
    if replay.dropped > _FEW * replay.source.images:
        causes = ", ".join(f"{count} {cause}" for cause, count in replay.dropped_by.items())
        yield Finding(
            "Images have no answer",
            f"{replay.dropped} of {replay.source.images} were dropped ({causes}).",
            ("progeo doctor",),
        )


def _usual_similarity(figures: _Figures) -> float:
    """Return how similar the best place of right answers is, in the middle."""
    right = figures.similarity[figures.run.right]
    return float(np.nanmedian(right)) if np.isfinite(right).any() else 0.0


def _addition(replay: Replay) -> str:
    """Return the command that adds images of such places to the map."""
    source = replay.source
    if source.records is None:
        return (
            f"progeo map build {source.map_path} --append --bag {source.queries} --image-topic"
            f" {source.image_topic} --pose-topic {source.ground_truth_topic}"
        )
    return f"progeo map build {source.map_path} --append {source.queries}"


def _count(mask: _Mask) -> str:
    return f"{int(mask.sum())} of {len(mask)} images"


def _stretches(replay: Replay, mask: _Mask) -> str:
    """Return where in the run most of these images are, as text."""
    rows = np.flatnonzero(mask)
    parts = np.split(rows, np.flatnonzero(np.diff(rows) > 2) + 1)
    longest = sorted(sorted(parts, key=len, reverse=True)[:3], key=lambda part: int(part[0]))
    images = replay.rows[replay.evaluated]
    source = replay.source
    if source.is_timed:
        seconds = (source.stamp_ns[images] - source.stamp_ns.min()) * 1e-9
        words = [_span(f"{seconds[one[0]]:.0f}", f"{seconds[one[-1]]:.0f}") for one in longest]
        return f"at {', '.join(words)} s"
    words = [_span(str(images[one[0]] + 1), str(images[one[-1]] + 1)) for one in longest]
    return f"images {', '.join(words)}"


def _span(first: str, last: str) -> str:
    return first if first == last else f"{first} to {last}"


def _round_up(value: float) -> str:
    """Return a distance (m) for an option, with two digits."""
    step = 10.0 ** (np.floor(np.log10(max(value, 1e-3))) - 1)
    return f"{np.ceil(value / step) * step:g}"
