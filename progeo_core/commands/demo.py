"""`progeo demo`: mapping, evaluation and replay on shipped images."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer

from progeo_core.commands.console import print_fields, progress, tables, waiting
from progeo_core.commands.options import MODEL

if TYPE_CHECKING:
    from progeo_core.demo import SiteResult


def demo(
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Folder for maps, bags and reports.")
    ] = Path("demo_output"),
    ros: Annotated[
        bool, typer.Option("--ros/--no-ros", help="Play the bags to the live node, or read them.")
    ] = True,
) -> None:
    """Run everything on images that come with the package: under three minutes on two cores.

    Maps one pass of a corridor and localizes the images of the other pass: from files, and from a
    rosbag2 that is played to the live ROS 2 node over DDS. Then the same with a loop around a
    campus building, whose map has a datum, so that the node publishes fixes. Last comes an office
    that was mapped with depth and a calibrated camera: there, landmarks give the full pose of the
    camera, in centimetres. Ends with a table and the paths of the reports. Without rclpy the bags
    are replayed offline.

        progeo demo
        progeo demo --out /tmp/progeo
    """
    from progeo_core.demo import campus_loop, corridor, office, run_site
    from progeo_core.evaluation.live_answers import has_ros
    from progeo_core.inference.loading import load_encoder

    started = time.monotonic()
    live = ros and has_ros()
    if ros and not live:
        tables().print(
            "rclpy is not installed, so the bags are replayed offline: source a ROS 2 distribution"
            " or pip install 'progeo_ros\\[ros]' to see the live node."
        )
    with waiting("loading the model"):
        encoder = load_encoder(MODEL.model, MODEL.device)
    sites = [
        run_site(site, out, encoder, MODEL.model, live=live, show=progress)
        for site in (corridor(), campus_loop(), office())
    ]
    _print_summary(sites)
    _print_notes(sites, out)
    tables().print(f"\nDone in {time.monotonic() - started:.0f} s.", highlight=False)


def _print_summary(sites: list[SiteResult]) -> None:
    from rich.table import Table

    table = Table(title="Demo", title_justify="left", header_style="bold")
    table.add_column("")
    for result in sites:
        table.add_column(result.site.name, justify="right")
    for name, value in _FIGURES.items():
        table.add_row(name, *(value(result) for result in sites))
    tables().print(table)


def _print_notes(sites: list[SiteResult], out: Path) -> None:
    for result in sites:
        files = result.files
        paths = {"report": files.report.resolve(), "match images": files.matches.resolve()}
        print_fields(f"\n{result.site.name}", paths)
    tables().print(
        "\nCorridor positions are nominal (one frame is one metre). The campus"
        " poses are measured, in local metres; its datum is nominal, so its fixes show the"
        " interface, not a real place. Those of the office are of a HoloLens; full poses are"
        " compared in space, silence is not counted in their medians.",
        highlight=False,
    )


def _mode(result: SiteResult) -> str:
    return "live node over DDS" if result.replay.mode == "live" else "offline"


def _latency(result: SiteResult) -> str:
    p50, p95 = np.percentile(result.replay.latency_ms, [50, 95])
    return f"{p50:.0f} / {p95:.0f} ms"


def _radius(result: SiteResult) -> str:
    from progeo_core.evaluation.metrics import radius_text

    return radius_text(result.replay.source.radius_m)


def _recall(result: SiteResult) -> str:
    return f"{result.evaluation.recall_at[1]:.3f}"


def _sequence_recall(result: SiteResult) -> str:
    return f"{result.evaluation.published.recall_at[1]:.3f}"


def _median_error(result: SiteResult) -> str:
    return f"{np.median(result.evaluation.published.error_m):.2f} m"


def _full_poses(result: SiteResult) -> str:
    if result.poses is None:
        return "none (no calibration)"
    answered = result.poses.full.answered
    return f"{np.count_nonzero(answered)} of {len(answered)}"


def _full_pose_error(result: SiteResult) -> str:
    if result.poses is None or not result.poses.full.answered.any():
        return "–"
    full = result.poses.full.to_json()
    metres, degrees = full["position_error_m"]["median"], full["rotation_error_deg"]["median"]
    return f"{100.0 * metres:.1f} cm, {degrees:.2f}°"


def _accepted(result: SiteResult) -> str:
    evaluation = result.replay.evaluation.published
    return f"{int(evaluation.accepted.sum())} ({evaluation.false_accepts} wrong)"


def _first_fix(result: SiteResult) -> str:
    for answer in result.replay.localizations:
        if answer.accepted and answer.geodetic is not None:
            return f"{answer.geodetic[0]:.5f}°, {answer.geodetic[1]:.5f}°"
    return "none (no datum)" if result.site.datum is None else "none accepted"


_FIGURES: dict[str, Callable[[SiteResult], str]] = {
    "places in the map": lambda result: str(len(result.site.reference)),
    "query images": lambda result: str(len(result.site.queries)),
    "right within": _radius,
    "Recall@1, single image": _recall,
    "Recall@1, sequence": _sequence_recall,
    "median position error": _median_error,
    "full poses by landmarks": _full_poses,
    "their median error": _full_pose_error,
    "replay": _mode,
    "images answered": lambda result: str(result.replay.answered),
    "images dropped": lambda result: str(result.replay.dropped),
    "accepted by the replay": _accepted,
    "latency, median / 95 %": _latency,
    "first fix": _first_fix,
}
