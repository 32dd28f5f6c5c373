"""The part of a replay's report that is about full camera poses."""

from __future__ import annotations

from functools import partial
from html import escape

from progeo_core.evaluation.metric_poses import pose_rows, protocol_of_poses
from progeo_core.evaluation.pose_figures import (
    draw_landmarks,
    draw_position_errors,
    draw_rotation_errors,
)
from progeo_core.evaluation.replay import Replay
from progeo_core.evaluation.report_html import figure_table, svg_image, wide_plot


def pose_section(replay: Replay) -> str:
    """Return the section as HTML, "" where no image with ground truth has a full pose."""
    comparison = replay.poses
    if comparison is None or not replay.has_full_poses:
        return ""
    table = figure_table(("full pose", "most similar place"), pose_rows(comparison))
    landmarks = svg_image(draw_landmarks(replay), "landmarks over time")
    cards = [
        '<div class="pair">'
        + _card("Errors and shares", protocol_of_poses(comparison), f"<table>{table}</table>")
        + _card("Landmarks", "How many of the map fit the pose of each image.", landmarks)
        + "</div>",
        _card(
            "Error in metres",
            "Distance from the true position in space; the dashed line is 0.10 m.",
            wide_plot(partial(draw_position_errors, replay, comparison), "error in metres"),
        ),
    ]
    if comparison.has_rotation:
        text = "Angle to the true orientation, of a place to its direction; the dashed line is 5°."
        plot = wide_plot(partial(draw_rotation_errors, replay, comparison), "error in degrees")
        cards.append(_card("Error in degrees", text, plot))
    return f'<h2>Full poses of the camera</h2><div class="stack">{"".join(cards)}</div>'


def _card(title: str, text: str, content: str) -> str:
    return f'<div class="card"><h3>{title}</h3><p>{escape(text)}</p>{content}</div>'
