"""The part of a replay's report that is about full camera poses."""

from __future__ import annotations

from html import escape

from progeo_core.evaluation.metric_poses import pose_rows, protocol_of_poses
from progeo_core.evaluation.pose_figures import (
    draw_landmarks,
    draw_position_errors,
    draw_rotation_errors,
)
from progeo_core.evaluation.replay import Replay
from progeo_core.evaluation.report_html import figure_table, svg_image


def pose_section(replay: Replay) -> str:
    """Return the section as HTML, "" where no image with ground truth has a full pose."""
    comparison = replay.poses
    if comparison is None or not replay.has_full_poses:
        return ""
    table = figure_table(("full pose", "most similar place"), pose_rows(comparison))
    cards = [
        f'<div class="card"><p>{escape(protocol_of_poses(comparison))}</p>'
        f"<table>{table}</table></div>",
        _plot_card(
            "Error in metres",
            "Distance from the true position in space; the dashed line is 0.10 m.",
            draw_position_errors(replay, comparison),
        ),
    ]
    if comparison.has_rotation:
        text = "Angle to the true orientation, of a place to its direction; the dashed line is 5°."
        svg = draw_rotation_errors(replay, comparison)
        cards.append(_plot_card("Error in degrees", text, svg))
    text = "How many landmarks of the map fit the pose of each image."
    cards.append(_plot_card("Landmarks", text, draw_landmarks(replay)))
    return f'<h2>Full poses of the camera</h2><div class="stack">{"".join(cards)}</div>'


def _plot_card(title: str, text: str, svg: str) -> str:
    plot = f'<div class="wide">{svg_image(svg, f"{title} over time")}</div>'
    return f'<div class="card"><h3>{title}</h3><p>{text}</p>{plot}</div>'
