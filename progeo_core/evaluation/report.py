"""The report of a replay: one HTML page with its style, plots and pictures inside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from html import escape
from importlib import resources
from pathlib import Path
from string import Template
from typing import NamedTuple

import numpy as np

from progeo_core.atomic_file import replaced_file
from progeo_core.errors import counted
from progeo_core.evaluation import report_figures
from progeo_core.evaluation.answer_explorer import explorer_data
from progeo_core.evaluation.answer_table import AnswerRow
from progeo_core.evaluation.findings import find_problems
from progeo_core.evaluation.metrics import Evaluation, figure_rows, metres, radius_text
from progeo_core.evaluation.pose_section import pose_section
from progeo_core.evaluation.replay import Replay, ReplayInput
from progeo_core.evaluation.report_html import (
    fact_table,
    figure_table,
    jpeg_image,
    svg_image,
)
from progeo_core.evaluation.self_contained import PageKind, embed_json
from progeo_core.versions import versions

_PAGE = PageKind("replay", "a report")


class MatchView(NamedTuple):
    """One answer in the report: a JPEG of the query beside a place, and its figures as text.

    place: what the right half shows, "" where there is none.
    """

    picture: bytes
    place: str
    right: bool
    title: str
    details: str


def write_report(
    path: Path,
    replay: Replay,
    rows: Sequence[AnswerRow],
    best: Sequence[MatchView],
    worst: Sequence[MatchView],
) -> None:
    """Write the page to a file that appears whole or not at all; rows: of `answer_rows`."""
    folder = resources.files("progeo_core.evaluation")
    template, style, script = (
        folder.joinpath(name).read_text(encoding="utf-8")
        for name in ("report_template.html", "answer_explorer.css", "answer_explorer.js")
    )
    page = Template(template).substitute(
        _fields(replay, best, worst),
        head=_PAGE.head(_title(replay), script),
        explorer_style=style,
        script=script,
        answers=embed_json(explorer_data(replay, rows)),
        findings=_findings(replay),
    )
    with replaced_file(path) as unfinished:
        unfinished.write_text(page, encoding="utf-8")


def _fields(
    replay: Replay, best: Sequence[MatchView], worst: Sequence[MatchView]
) -> Mapping[str, str]:
    source = replay.source
    live = replay.mode == "live"
    taken = ""
    if source.is_timed:
        start = datetime.fromtimestamp(int(source.stamp_ns.min()) * 1e-9, timezone.utc)
        taken = f" in {source.duration_s:.1f} s, recorded {start:%Y-%m-%d %H:%M} UTC"
    return {
        "heading": escape(_title(replay)),
        "mode": "live through the ROS 2 node" if live else "offline",
        "subtitle": escape(
            f"{source.images} images{taken}, localized in the map {source.map_path.resolve().name}"
            f" of {counted(len(source.places.ids), 'place')}."
        ),
        "tiles": _tiles(replay),
        "radius": radius_text(source.radius_m),
        "error_distribution": svg_image(
            report_figures.draw_error_distribution(replay), "cumulative position error"
        ),
        "precision_recall": svg_image(
            report_figures.draw_precision_recall(replay), "precision against recall"
        ),
        "poses": pose_section(replay),
        "latency": svg_image(report_figures.draw_latency(replay), "latency distribution"),
        "latency_note": "From sending an image over DDS to receiving its answer."
        if live
        else "From a decoded image to its answer, one image at a time.",
        "reliability": svg_image(
            report_figures.draw_reliability(replay), "reliability of confidence"
        ),
        "best": _match_cards(best),
        "worst": _match_cards(worst),
        "best_note": "of most landmarks" if replay.has_full_poses else "of highest confidence",
        "worst_note": " Then the full poses farthest off." if replay.has_full_poses else "",
        "figures": _figure_table(replay.evaluation),
        "facts": fact_table(_facts(replay)),
        "footer": escape(f"Written {datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC by progeo."),
    }


def _title(replay: Replay) -> str:
    kind = "Replay" if replay.source.records is None else "Evaluation"
    return f"{kind} of {replay.source.queries.resolve().name}"


def _tiles(replay: Replay) -> str:
    evaluation = replay.evaluation.published
    figures, source = evaluation.to_json(), replay.source
    kind = "sequence" if evaluation.follows else "single image"
    p50, p95 = np.percentile(replay.latency_ms, [50, 95])
    tiles: tuple[tuple[str, str], ...] = (
        (
            f"{100 * evaluation.recall_at[1]:.1f} %",
            f"Recall@1 within {radius_text(source.radius_m)}, {kind}",
        ),
        (metres(figures["position_error_m"]["median"]), "median position error"),
        (
            f"{100 * figures['recall_at_precision']['0.99']:.1f} %",
            "recall at 99 % precision",
        ),
        (f"{figures['accepted']}", f"accepted, {figures['false_accepts']} of them wrong"),
        (f"{replay.answered} / {source.images}", f"answered, {replay.dropped} dropped"),
        (f"{p50:.0f} ms", f"median latency (95\N{NO-BREAK SPACE}%: {p95:.0f}\N{NO-BREAK SPACE}ms)"),
    )
    if replay.poses is not None and replay.has_full_poses:
        full = replay.poses.full.to_json()
        median = metres(full["position_error_m"]["median"], 3)
        tiles += ((f"{100 * full['answered']:.0f} %", f"have a full pose, median error {median}"),)
    return "".join(
        f'<div class="tile"><b>{escape(value)}</b><span>{escape(name)}</span></div>'
        for value, name in tiles
    )


def _figure_table(evaluation: Evaluation) -> str:
    """Return the rows of all figures, a column for single images and one for the sequence."""
    figures = zip(*(figure_rows(run) for run in evaluation.runs.values()), strict=True)
    rows = ([row[0].name, *(one.value for one in row)] for row in figures)
    return figure_table(tuple(evaluation.runs), rows)


def _facts(replay: Replay) -> list[tuple[str, str]]:
    source, evaluation = replay.source, replay.evaluation
    causes = [f"{count} {cause}" for cause, count in replay.dropped_by.items() if count]
    datum = source.datum
    return [
        (
            "Protocol",
            f"{evaluation.queries} answered images with ground truth, all of them counted;"
            f" {int(evaluation.localizable.sum())} have a place within"
            f" {radius_text(source.radius_m)}. Distances are horizontal.",
        ),
        (
            "Images",
            f"{source.images}: {replay.answered} answered, {replay.dropped} dropped"
            + (f" ({', '.join(causes)})" if causes else ""),
        ),
        *_sources(source),
        ("Map", f"{source.map_path}, {counted(len(source.places.ids), 'place')}"),
        ("Datum", "none (metres only)" if datum is None else ", ".join(f"{v:g}" for v in datum)),
        ("Model", str(source.model)),
        ("Versions", ", ".join(f"{name} {version}" for name, version in versions().items())),
    ]


def _findings(replay: Replay) -> str:
    found = [
        f"<li><b>{escape(one.title)}</b>{escape(one.text)}"
        + "".join(f"<br><code>{escape(fix)}</code>" for fix in one.fixes)
        + "</li>"
        for one in find_problems(replay)
    ]
    return "".join(found) or "<li>Nothing that these answers show.</li>"


def _match_cards(views: Sequence[MatchView]) -> str:
    if not views:
        return "<p>None.</p>"
    return "".join(_match_card(view) for view in views)


def _sources(source: ReplayInput) -> list[tuple[str, str]]:
    if source.records is not None:
        return [("Queries", str(source.queries))]
    return [
        ("Bag", str(source.queries)),
        ("Image topic", source.image_topic),
        ("Ground truth", source.ground_truth_topic),
    ]


def _match_card(view: MatchView) -> str:
    kind = "card match" if view.right else "card match wrong"
    names = ("query", view.place) if view.place else ("query",)
    picture = jpeg_image(view.picture, " beside ".join(names))
    captions = "".join(f"<span>{escape(name)}</span>" for name in names)
    return (
        f'<div class="{kind}"><figure>{picture}<figcaption>{captions}</figcaption></figure>'
        f"<p><b>{escape(view.title)}</b><br>{escape(view.details)}</p></div>"
    )
