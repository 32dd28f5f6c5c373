"""Figures in words, the same in tables, reports and the demo."""

from __future__ import annotations

from typing import Any, NamedTuple

from progeo_core.evaluation import Evaluation


class FigureRow(NamedTuple):
    """Hold the name of a figure and its value as text."""

    name: str
    value: str


def figure_rows(run: Evaluation) -> list[FigureRow]:
    """Return the main figures of one run."""
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


def metres(value: float | None) -> str:
    """Return a distance as text."""
    return "none" if value is None else f"{value:.2f} m"


def _until_found(relocalization: dict[str, Any]) -> str:
    """Return the median of images to the first right accepted answer after a start or a jump."""
    median = relocalization["images"]["median"]
    found = f"{relocalization['found']} of {relocalization['starts']} starts"
    return f"never, {found}" if median is None else f"{median:.0f}, {found}"


def _decimal(value: float | None) -> str:
    return "none" if value is None else f"{value:.3f}"
