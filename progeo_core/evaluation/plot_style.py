"""Look of the plots of a report: SVG, in the colour-blind safe palette of Okabe and Ito."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from progeo_core.geo import FloatArray

BLUE, VERMILION, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#8A94A0"
INK, FAINT, _GRID = "#1F2933", "#C3CAD2", "#E6E9ED"

_STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": _GRID,
    "grid.linewidth": 0.8,
    "text.color": INK,
    "xtick.color": "#52606D",
    "ytick.color": "#52606D",
    "legend.frameon": False,
    "legend.fontsize": 9,
    "svg.hashsalt": "progeo",  # equal replays give equal files
}
# Width (inches) of a plot that fills a page, and of one beside another or on a phone.
WIDE, HALF = 11.0, 5.4
# More marks than this are drawn as pixels inside the SVG, which keeps the page small.
_VECTOR_MARKS = 3000


def scatter(axes: Axes, points: FloatArray, **look: Any) -> None:
    """Draw points [n, 2]; very many of them as pixels."""
    axes.scatter(points[:, 0], points[:, 1], rasterized=len(points) > _VECTOR_MARKS, **look)


def legend_above(axes: Axes, columns: int) -> None:
    """Put the legend above the plot, in so many columns, where these have room."""
    figure = axes.figure
    most = 5 if isinstance(figure, Figure) and figure.get_figwidth() > HALF else 2
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=min(columns, most))


def draw_svg(draw: Callable[[Axes], None], size: tuple[float, float]) -> str:
    """Draw on one pair of axes of a size in inches; return the SVG."""
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=size, layout="constrained")
        draw(figure.add_subplot())
        buffer = io.BytesIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None}, transparent=True, dpi=150)
    return buffer.getvalue().decode("utf-8")
