"""`progeo evaluate`: how often a map is right about images with known positions."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from progeo_core.commands import options
from progeo_core.commands.console import (
    progress,
    results,
    say_skipped,
    waiting,
    write_json,
)
from progeo_core.versions import versions

if TYPE_CHECKING:
    from progeo_core.descriptors.fingerprint import ModelFingerprint
    from progeo_core.evaluation.metric_poses import PoseComparison
    from progeo_core.evaluation.metrics import Evaluation
    from progeo_core.evaluation.queries import QueryEvaluation

QueriesOption = Annotated[
    Path,
    typer.Option(
        "--queries", metavar="CSV", help="records.csv of the query images, as in `map build`."
    ),
]
SequenceFlag = Annotated[
    bool,
    typer.Option(
        "--sequence",
        help="The queries are one traverse in order: also answer them with the place filter.",
    ),
]
JsonOption = Annotated[
    Path | None,
    typer.Option("--json", metavar="OUT", help="Write the figures to a file, - for stdout."),
]


def evaluate(
    map_path: options.MapOption,
    queries: QueriesOption,
    radius: options.RadiusOption = options.PROTOCOL.radius_m,
    sequence: SequenceFlag = False,
    verification_ms: options.VerificationOption = options.LOCALIZER.verification_ms,
    camera_info: options.CameraInfoOption = None,
    json_path: JsonOption = None,
    model: options.ModelOption = options.MODEL.model,
    device: options.DeviceOption = options.MODEL.device,
    runtime: options.RuntimeOption = options.MODEL.runtime,
    trust_code: options.TrustFlag = options.MODEL.trust_code,
) -> None:
    """Measure how well a map answers images whose positions are known.

    Recall@N: share of queries with a place within the radius among their N best. Errors are
    horizontal distances. Precision and recall are over all confidence thresholds; calibration
    compares stated confidence with the share that was right. Time to localize: from the first
    image, or a jump of the truth, to the first accepted right answer.

        progeo evaluate --map city.progeo --queries queries.csv
        progeo evaluate --map lab.progeo --queries lap2.csv --sequence --json out.json
        progeo evaluate --map lab.progeo --queries walk.csv --camera-info camera.yaml

    JSON: schema (1), queries, database, protocol, recall_at ("1", "5", "10", "20"),
    position_error_m (median, p90), recall_at_precision ("1.00", "0.99"), auc_pr, accepted,
    false_accepts, off_map_accepts, calibration, ellipse_coverage, nees,
    relocalization (starts, found, images, seconds); with --sequence the same under sequence;
    with --camera-info metric_pose (answered, position_error_m, rotation_error_deg, within,
    wrong_beyond_0.5m, ellipsoid_90); skipped (unusable images), map, queries_file, model, versions.
    """
    from progeo_core.evaluation.queries import evaluate_records
    from progeo_core.inference.loading import load_encoder
    from progeo_core.map.place_map import PlaceMap
    from progeo_core.records.records import read_records

    records = read_records(queries)
    with PlaceMap.open(map_path) as place_map:
        with waiting("loading the model"):
            encoder = load_encoder(model, device, runtime, trust_code=trust_code)
            place_map.require_model(encoder.fingerprint)
        with progress("localizing", len(records)) as advance:
            run = evaluate_records(
                place_map,
                records,
                encoder,
                radius,
                sequence=sequence,
                verification_ms=verification_ms,
                intrinsics=options.read_intrinsics(camera_info),
                device=device,
                advance=advance,
            )
    say_skipped(run.skipped)
    if json_path is not None:
        sources = {"map": str(map_path), "queries_file": str(queries)}
        write_json(json_path, _document(run, encoder.fingerprint) | sources)
    if str(json_path) != "-":
        print_evaluation(run.evaluation, f"{queries} against {map_path}")
        print_poses(run.poses)


def _document(run: QueryEvaluation, model: ModelFingerprint) -> dict[str, Any]:
    """Return the JSON of one run, without its sources."""
    metric = {} if run.poses is None else {"metric_pose": run.poses.full.to_json()}
    return (
        run.evaluation.to_json()
        | metric
        | {
            "skipped": list(run.skipped),
            "model": dataclasses.asdict(model),
            "versions": versions(),
        }
    )


def print_poses(comparison: PoseComparison | None) -> None:
    """Print the figures of full poses beside those of the most similar places, if there are any."""
    if comparison is None:
        return
    from progeo_core.evaluation.metric_poses import pose_rows, protocol_of_poses

    table = _table("full poses of the camera")
    table.add_column("full pose", justify="right")
    table.add_column("most similar place", justify="right")
    for row in pose_rows(comparison):
        table.add_row(*row)
    results.print()
    results.print(table)
    results.print(protocol_of_poses(comparison), highlight=False)


def print_evaluation(evaluation: Evaluation, title: str) -> None:
    """Print the main figures as a table, a column for single images and one for the sequence."""
    from progeo_core.evaluation.metrics import figure_rows

    table = _table(title)
    for name in evaluation.runs:
        table.add_column(name, justify="right")
    for row in zip(*(figure_rows(run) for run in evaluation.runs.values()), strict=True):
        table.add_row(row[0].name, *(figure.value for figure in row))
    results.print(table)
    with_places = int(evaluation.localizable.sum())
    results.print(
        f"{evaluation.queries} queries, {with_places} with a place within {evaluation.radius_m:g} m"
        f" among {evaluation.database}; all of them count.",
        highlight=False,
    )


def _table(title: str) -> Table:
    """Return a table whose first column names the rows."""
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    table.add_column("")
    return table
