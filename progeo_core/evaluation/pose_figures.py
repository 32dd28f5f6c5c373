"""The plots of full camera poses in the report of a replay, as SVG."""

from __future__ import annotations

from collections.abc import Callable

import matplotlib
import numpy as np
from matplotlib.axes import Axes

from progeo_core.evaluation.metric_poses import PoseComparison
from progeo_core.evaluation.plot_style import (
    BLUE,
    GREY,
    HALF,
    INK,
    WIDE,
    draw_svg,
    legend_above,
    scatter,
)
from progeo_core.evaluation.replay import Replay
from progeo_core.geo import FloatArray

_HEIGHT = 2.8
# Errors below these are drawn there: a logarithmic scale has no zero.
_MIN_M, _MIN_DEG = 0.001, 0.01
# Lines that the table has shares of.
_NEAR_M, _NEAR_DEG = 0.10, 5.0


def draw_position_errors(replay: Replay, comparison: PoseComparison, width: float = WIDE) -> str:
    """Draw the error in metres of full poses and of the most similar places over time.

    width: inches.
    """
    errors = comparison.full.position_m, comparison.places.position_m
    return draw_svg(
        _errors(replay, errors, (_MIN_M, _NEAR_M), "position error (m)"), (width, _HEIGHT)
    )


def draw_rotation_errors(replay: Replay, comparison: PoseComparison, width: float = WIDE) -> str:
    """Draw the error in degrees of full poses and of the most similar places over time.

    width: inches.
    """
    errors = comparison.full.rotation_deg, comparison.places.rotation_deg
    return draw_svg(
        _errors(replay, errors, (_MIN_DEG, _NEAR_DEG), "rotation error (°)"), (width, _HEIGHT)
    )


def draw_landmarks(replay: Replay) -> str:
    """Draw how many landmarks fit the pose of every answer over time."""
    answers = [replay.localizations[one] for one in replay.evaluated.tolist()]
    count = np.array([0 if one.metric is None else one.metric.landmarks for one in answers])
    seconds, full = _seconds(replay), np.array([one.metric is not None for one in answers])

    def draw(axes: Axes) -> None:
        axes.vlines(seconds[full], 0, count[full], color=BLUE, linewidth=1.2, alpha=0.45)
        kinds = ((full, "full pose", BLUE), (~full, "answer of the places", GREY))
        for mask, name, colour in kinds:
            points = np.stack([seconds, count], axis=-1)[mask]
            scatter(axes, points, s=18, c=colour, label=f"{name} ({mask.sum()})", zorder=3)
        axes.set_ylim(0.0, max(1.0, 1.08 * count.max()))
        axes.set_xlabel("time since the first image (s)")
        axes.set_ylabel("landmarks that fit")
        legend_above(axes, 2)

    return draw_svg(draw, (HALF, 4.2))


def _errors(
    replay: Replay, errors: tuple[FloatArray, FloatArray], levels: tuple[float, float], name: str
) -> Callable[[Axes], None]:
    """Return what draws errors [e] of full poses and of places.

    levels: where the scale begins, and where the dashed line is.
    """
    seconds, (least, near) = _seconds(replay), levels
    full, places = (np.stack([seconds, np.maximum(one, least)], axis=-1) for one in errors)

    def draw(axes: Axes) -> None:
        looks = (
            (places, "most similar place", {"facecolors": "none", "edgecolors": GREY}),
            (full, "full pose", {"c": BLUE}),
        )
        for points, label, look in looks:
            known = np.isfinite(points[:, 1])
            scatter(axes, points[known], s=18, label=f"{label} ({known.sum()})", zorder=3, **look)
        axes.axhline(near, color=INK, linewidth=1, linestyle=(0, (4, 3)))
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(matplotlib.ticker.FormatStrFormatter("%g"))
        axes.yaxis.set_minor_locator(matplotlib.ticker.NullLocator())
        axes.set_xlabel("time since the first image (s)")
        axes.set_ylabel(name)
        legend_above(axes, 2)

    return draw


def _seconds(replay: Replay) -> FloatArray:
    """Return when the evaluated images were taken [e] (s since the first image)."""
    stamps = replay.source.stamp_ns[replay.rows[replay.evaluated]]
    return np.asarray((stamps - replay.source.stamp_ns.min()) * 1e-9)
