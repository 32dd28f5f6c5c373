"""The picture of a comparison: recalls of each model, without and with the second stage."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from progeo_core.evaluation.comparison.compare_models import ComparedModel, Comparison
from progeo_core.evaluation.metrics import radius_text
from progeo_core.evaluation.plot_style import BLUE, FAINT, GREEN, WIDE, draw_svg

# Height (inches) of a model, and of the axis with its names.
_MODEL, _AXIS = 0.85, 1.2
# How far a row lies from the middle of its model, as a share of the room for it.
_APART = 0.18


def draw_comparison(comparison: Comparison) -> str:
    """Draw recalls at each N as points on a line for each model and stage; return the SVG."""
    models = comparison.models

    def draw(axes: Axes) -> None:
        for row, model in enumerate(models):
            _draw_recalls(axes, row - _APART, model.single, BLUE)
            _draw_recalls(axes, row + _APART, model.verified, GREEN)
        axes.set_yticks(range(len(models)), [_label(model) for model in models])
        axes.set_ylim(len(models) - 0.5, -0.5)
        lowest = min(min(one.single[1], one.verified[1]) for one in models)
        axes.set_xlim(max(0.0, lowest - 0.08), 1.02)
        axes.set_xlabel(
            "recall at N: queries with one of the N best places within"
            f" {radius_text(comparison.radius_m)}"
        )
        axes.grid(visible=False, axis="y")
        _explain(axes, tuple(models[0].single))

    return draw_svg(draw, (WIDE * 0.75, _AXIS + _MODEL * len(models)))


def _draw_recalls(axes: Axes, height: float, recall_at: dict[int, float], colour: str) -> None:
    values = list(recall_at.values())
    axes.plot([values[0], values[-1]], [height, height], color=FAINT, linewidth=2.0, zorder=1)
    for number, value in enumerate(values):
        axes.plot(
            value, height, "o", markersize=_size(number), color=colour, alpha=0.9, zorder=9 - number
        )
    axes.annotate(
        f"{values[0]:.2f}",
        (values[0], height),
        xytext=(-9, 0),
        textcoords="offset points",
        ha="right",
        va="center",
        color=colour,
        fontsize=9,
    )


def _size(number: int) -> float:
    """Return the size of a mark: recall at 1 is the largest."""
    return max(3.0, 9.0 - 2.0 * number)


def _label(model: ComparedModel) -> str:
    figures = f"{model.dimension} values, {model.ms_per_image:.0f} ms"
    return f"{model.model}\n{figures}, {model.map_bytes / 1e6:.1f} MB"


def _explain(axes: Axes, counts: tuple[int, ...]) -> None:
    marks = [
        Line2D([], [], linestyle="", marker="o", color=BLUE, label="single image"),
        Line2D([], [], linestyle="", marker="o", color=GREEN, label="with the second stage"),
    ]
    marks += [
        Line2D([], [], linestyle="", marker="o", color=FAINT, markersize=_size(i), label=f"N = {n}")
        for i, n in enumerate(counts)
    ]
    axes.legend(
        handles=marks, loc="lower center", bbox_to_anchor=(0.4, 1.0), ncols=6, columnspacing=1.2
    )
