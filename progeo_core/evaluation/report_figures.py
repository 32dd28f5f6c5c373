"""The plots of places, errors, confidence and latency in the report of a replay, as SVG."""

from __future__ import annotations

from typing import Literal, NamedTuple

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch
from numpy.typing import NDArray

from progeo_core.evaluation.metrics import Evaluation
from progeo_core.evaluation.plot_style import (
    BLUE,
    FAINT,
    GREEN,
    GREY,
    HALF,
    INK,
    VERMILION,
    WIDE,
    draw_svg,
    legend_above,
    scatter,
)
from progeo_core.evaluation.replay import Replay
from progeo_core.geo import FloatArray

# Of plots that stand beside each other (inches).
_SIZE = (HALF, 3.5)
# Links from truth to wrong answer; more would hide the plot.
_LINKS = 150


class _Decisions(NamedTuple):
    """Masks [e] of the evaluated answers: accepted and right, accepted and wrong, not accepted."""

    right: NDArray[np.bool_]
    wrong: NDArray[np.bool_]
    withheld: NDArray[np.bool_]


def draw_plan(replay: Replay, width: float = WIDE) -> str:
    """Draw places, ground truth and estimates from above, wrong answers linked to their truth.

    width: inches.
    """
    truth, estimate = _positions(replay)
    places = replay.source.places.position[:, :2]
    window = _window(np.concatenate([truth, estimate, places]))

    def draw(axes: Axes) -> None:
        scatter(axes, places, marker="s", s=12, c=FAINT, label="places of the map", zorder=1)
        for start, end in _links(truth, estimate, replay.evaluation.published.right)[:_LINKS]:
            axes.add_patch(_link(start, end))
        axes.plot(*truth.T, color=INK, linewidth=1.3, label="ground truth", zorder=2)
        _points_by_decision(axes, estimate, _decisions(replay.evaluation.published))
        axes.set_aspect("equal")
        axes.set_xlim(*window[:, 0])
        axes.set_ylim(*window[:, 1])
        axes.set_xlabel("east (m)")
        axes.set_ylabel("north (m)")
        legend_above(axes, 5)

    east, north = window[1] - window[0]
    return draw_svg(draw, (width, (width - 0.8) * float(north / east) + 1.0))


def _window(points: FloatArray) -> FloatArray:
    """Return the corners [2, 2] of a window around all points, neither too flat nor too tall."""
    low, high = points.min(axis=0), points.max(axis=0)
    width, height = np.maximum(1.08 * (high - low), 1.0)
    # A corridor is a line from above; its links need room to be seen.
    height = max(height, 0.25 * width)
    half = np.array([max(width, height / 0.6), height]) / 2.0
    middle = (low + high) / 2.0
    return np.stack([middle - half, middle + half])


def draw_error_over_time(replay: Replay, width: float = WIDE) -> str:
    """Draw the position error of every answer over time; width: inches."""
    evaluation = replay.evaluation.published
    stamps = replay.source.stamp_ns[replay.rows[replay.evaluated]]
    seconds = (stamps - replay.source.stamp_ns.min()) * 1e-9

    def draw(axes: Axes) -> None:
        points = np.stack([seconds, evaluation.error_m], axis=-1)
        _points_by_decision(axes, points, _decisions(evaluation))
        _error_scale(axes, evaluation, "y")
        axes.axhline(evaluation.radius_m, color=INK, linewidth=1, linestyle=(0, (4, 3)))
        axes.set_xlabel("time since the first image (s)")
        axes.set_ylabel("position error (m)")
        legend_above(axes, 3)

    return draw_svg(draw, (width, 3.4))


def draw_error_distribution(replay: Replay) -> str:
    """Draw the share of answers with at most each error."""
    runs = _runs(replay.evaluation)

    def draw(axes: Axes) -> None:
        for name, run, colour in runs:
            error = np.sort(run.error_m)
            share = np.arange(1, len(error) + 1) / len(error)
            axes.step(
                np.concatenate([[0.0], error]),
                np.concatenate([[0.0], share]),
                where="post",
                color=colour,
                label=name,
                linewidth=1.8,
            )
        _error_scale(axes, replay.evaluation, "x")
        axes.axvline(replay.evaluation.radius_m, color=INK, linewidth=1, linestyle=(0, (4, 3)))
        axes.set_ylim(0.0, 1.02)
        axes.set_xlabel("position error (m)")
        axes.set_ylabel("share of answers")
        _legend_of_runs(axes, len(runs), "lower right")

    return draw_svg(draw, _SIZE)


def draw_precision_recall(replay: Replay) -> str:
    """Draw precision against recall over all confidence thresholds."""
    runs = _runs(replay.evaluation)

    def draw(axes: Axes) -> None:
        for name, run, colour in runs:
            curve = run.precision_recall
            axes.plot(curve.recall, curve.precision, color=colour, label=name, linewidth=1.8)
            if len(curve.recall) == 1:
                axes.plot(curve.recall, curve.precision, "o", color=colour)
        axes.set_xlim(0.0, 1.02)
        axes.set_ylim(min(0.5, _lowest_precision(runs)) - 0.02, 1.02)
        axes.set_xlabel("recall")
        axes.set_ylabel("precision")
        _legend_of_runs(axes, len(runs), "lower left")

    return draw_svg(draw, _SIZE)


def draw_latency(replay: Replay) -> str:
    """Draw the share of answers that came within each latency, with its percentiles."""
    latency = np.sort(replay.latency_ms)

    def draw(axes: Axes) -> None:
        share = np.arange(1, len(latency) + 1) / len(latency)
        axes.step(latency, share, where="post", color=BLUE, linewidth=1.8)
        for percent, colour in ((50, GREEN), (95, GREY), (99, VERMILION)):
            value = float(np.percentile(latency, percent))
            label = f"{percent} %: {value:.0f} ms"
            axes.plot(value, percent / 100.0, "o", color=colour, label=label, zorder=3)
        axes.set_ylim(0.0, 1.02)
        axes.set_xlim(left=0.0)
        axes.set_xlabel("latency (ms)")
        axes.set_ylabel("share of answers")
        axes.legend(loc="lower right")

    return draw_svg(draw, _SIZE)


def draw_reliability(replay: Replay) -> str:
    """Draw how often answers of each stated confidence were right."""
    runs = _runs(replay.evaluation)

    def draw(axes: Axes) -> None:
        axes.plot([0.0, 1.0], [0.0, 1.0], color=FAINT, linewidth=1.2, label="perfect")
        for name, run, colour in runs:
            bins = run.reliability
            seen = bins.answers > 0
            size = 16.0 + 180.0 * bins.answers[seen] / max(int(bins.answers.sum()), 1)
            stated, share = bins.confidence[seen], bins.right[seen]
            axes.plot(stated, share, "o-", color=colour, linewidth=1.0, markersize=3, label=name)
            axes.scatter(stated, share, s=size, color=colour, alpha=0.75, linewidths=0)
        axes.set_xlim(-0.03, 1.03)
        axes.set_ylim(-0.03, 1.05)
        axes.set_xlabel("stated confidence")
        axes.set_ylabel("share that was right")
        axes.legend(loc="upper left")

    return draw_svg(draw, _SIZE)


def _positions(replay: Replay) -> tuple[FloatArray, FloatArray]:
    """Return truth and estimate [e, 2] of the evaluated answers."""
    truth = replay.source.truth.position[replay.rows[replay.evaluated], :2]
    estimate = [replay.localizations[one].estimate.position[:2] for one in replay.evaluated]
    return truth, np.stack(estimate)


def _decisions(run: Evaluation) -> _Decisions:
    return _Decisions(run.accepted & run.right, run.accepted & ~run.right, ~run.accepted)


def _runs(evaluation: Evaluation) -> list[tuple[str, Evaluation, str]]:
    """Return name, figures and colour of the runs that are known."""
    colours = {"single image": BLUE, "sequence": GREEN}
    return [(name, run, colours[name]) for name, run in evaluation.runs.items()]


def _points_by_decision(axes: Axes, points: FloatArray, decisions: _Decisions) -> None:
    kinds = (
        (decisions.withheld, "not accepted", {"facecolors": "none", "edgecolors": GREY, "s": 20}),
        (decisions.right, "accepted, right", {"c": BLUE, "s": 20}),
        (decisions.wrong, "accepted, wrong", {"c": VERMILION, "s": 36, "marker": "X"}),
    )
    for number, (mask, name, look) in enumerate(kinds):
        label = f"{name} ({int(mask.sum())})"
        scatter(axes, points[mask], label=label, linewidths=0.9, zorder=3 + number, **look)


def _links(
    truth: FloatArray, estimate: FloatArray, right: NDArray[np.bool_]
) -> list[tuple[FloatArray, FloatArray]]:
    """Return start and end of the links from truth to wrong estimate, the longest first."""
    wrong = np.flatnonzero(~right)
    order = wrong[np.argsort(-np.linalg.norm(estimate[wrong] - truth[wrong], axis=1))]
    return [(truth[one], estimate[one]) for one in order]


def _link(start: FloatArray, end: FloatArray) -> FancyArrowPatch:
    # Curved, so that links along a straight corridor do not lie on each other.
    return FancyArrowPatch(
        tuple(start),
        tuple(end),
        connectionstyle="arc3,rad=0.25",
        arrowstyle="-",
        color=VERMILION,
        linewidth=0.7,
        alpha=0.35,
        zorder=1.5,
    )


def _error_scale(axes: Axes, evaluation: Evaluation, which: str) -> None:
    """Scale an axis of errors: linear up to the radius, logarithmic where answers are far off."""
    largest = float(np.max(evaluation.error_m, initial=evaluation.radius_m))
    set_scale = axes.set_xscale if which == "x" else axes.set_yscale
    set_limit = axes.set_xlim if which == "x" else axes.set_ylim
    radius = evaluation.radius_m
    if largest > 10.0 * radius:
        set_scale("symlog", linthresh=radius, linscale=0.8)
        set_limit(-0.05 * radius, largest * 1.3)
        ticks = [0.0, radius / 2.0, radius]
        ticks += [tick for tick in _round_steps(largest) if tick > 1.6 * radius]
        axis = axes.xaxis if which == "x" else axes.yaxis
        axis.set_major_locator(matplotlib.ticker.FixedLocator(ticks))
        axis.set_major_formatter(matplotlib.ticker.FormatStrFormatter("%g"))
        axis.set_minor_locator(matplotlib.ticker.NullLocator())
    else:
        set_limit(-0.02 * largest, largest * 1.08)


def _round_steps(largest: float) -> list[float]:
    powers = [10.0**power for power in range(-2, 7)]
    return [step * power for power in powers for step in (1, 2, 5) if step * power <= largest * 1.3]


def _lowest_precision(runs: list[tuple[str, Evaluation, str]]) -> float:
    return min(float(run.precision_recall.precision.min()) for _, run, _ in runs)


def _legend_of_runs(axes: Axes, count: int, where: Literal["lower left", "lower right"]) -> None:
    if count > 1:
        axes.legend(loc=where)
