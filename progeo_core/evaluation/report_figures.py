"""The plots of errors, confidence and latency in the report of a replay, as SVG."""

from __future__ import annotations

from typing import Literal

import matplotlib
import numpy as np
from matplotlib.axes import Axes

from progeo_core.evaluation.metrics import Evaluation
from progeo_core.evaluation.plot_style import (
    BLUE,
    FAINT,
    GREEN,
    GREY,
    HALF,
    INK,
    VERMILION,
    draw_svg,
)
from progeo_core.evaluation.replay import Replay

# Of plots that stand beside each other (inches).
_SIZE = (HALF, 3.5)


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
        _error_scale(axes, replay.evaluation)
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


def _runs(evaluation: Evaluation) -> list[tuple[str, Evaluation, str]]:
    """Return name, figures and colour of the runs that are known."""
    colours = {"single image": BLUE, "sequence": GREEN}
    return [(name, run, colours[name]) for name, run in evaluation.runs.items()]


def _error_scale(axes: Axes, evaluation: Evaluation) -> None:
    """Scale the axis of errors: linear up to the radius, logarithmic where answers are far off."""
    largest = float(np.max(evaluation.error_m, initial=evaluation.radius_m))
    radius = evaluation.radius_m
    if largest > 10.0 * radius:
        axes.set_xscale("symlog", linthresh=radius, linscale=0.8)
        axes.set_xlim(-0.05 * radius, largest * 1.3)
        ticks = [0.0, radius / 2.0, radius]
        ticks += [tick for tick in _round_steps(largest) if tick > 1.6 * radius]
        axes.xaxis.set_major_locator(matplotlib.ticker.FixedLocator(ticks))
        axes.xaxis.set_major_formatter(matplotlib.ticker.FormatStrFormatter("%g"))
        axes.xaxis.set_minor_locator(matplotlib.ticker.NullLocator())
    else:
        axes.set_xlim(-0.02 * largest, largest * 1.08)


def _round_steps(largest: float) -> list[float]:
    powers = [10.0**power for power in range(-2, 7)]
    return [step * power for power in powers for step in (1, 2, 5) if step * power <= largest * 1.3]


def _lowest_precision(runs: list[tuple[str, Evaluation, str]]) -> float:
    return min(float(run.precision_recall.precision.min()) for _, run, _ in runs)


def _legend_of_runs(axes: Axes, count: int, where: Literal["lower left", "lower right"]) -> None:
    if count > 1:
        axes.legend(loc=where)
