"""`progeo evaluate`: how often a map is right about images with known positions."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from progeo_core.bags.recognition import (
    BagTopics,
    InputKind,
    Role,
    choose_topics,
    recognize,
    source_of_path,
)
from progeo_core.commands import options
from progeo_core.commands.console import (
    print_fields,
    progress,
    say_problem,
    say_skipped,
    tables,
    waiting,
    write_json,
)
from progeo_core.commands.map_images import ImageTopicOption
from progeo_core.commands.ray_option import RayOption, ray_describer, threads_of_networks
from progeo_core.errors import UsageError
from progeo_core.map.sqlite_file import require_file
from progeo_core.versions import versions

if TYPE_CHECKING:
    from rich.table import Table

    from progeo_core.errors import ImageError
    from progeo_core.evaluation.answers import DescribedImage
    from progeo_core.evaluation.metric_poses import PoseComparison
    from progeo_core.evaluation.metrics import Evaluation
    from progeo_core.evaluation.replay import Replay, ReplayInput
    from progeo_core.images.intrinsics import Intrinsics

# Of a place taken at random: a recall above it says little.
_WIDE = 0.5

QueriesOption = Annotated[
    Path,
    typer.Option(
        "--queries",
        metavar="IMAGES",
        help="Query images with positions: a table (CSV), a folder ('@' names, EXIF GPS, or with"
        " `queries` in it), or a bag.",
    ),
]
SequenceFlag = Annotated[
    bool,
    typer.Option(
        "--sequence",
        help="The queries are in the order of time: also answer them with the place filter, which"
        " starts anew where another traverse of a table begins.",
    ),
]
TruthTopicOption = Annotated[
    str | None,
    typer.Option(
        "--pose-topic",
        metavar="P",
        help="Of a bag: the true poses, or fixes; may be left out where the bag has only one.",
    ),
]
OdometryTopicOption = Annotated[
    str | None,
    typer.Option(
        "--odom-topic",
        metavar="O",
        help="Of a bag: odometry, or poses in a fixed frame, that move the sequence; only offline.",
    ),
]
ReportOption = Annotated[
    Path | None,
    typer.Option(
        "--report",
        metavar="DIR",
        help="Folder for the interactive report, answers.csv and answers.jsonl, as replay's.",
    ),
]
JsonOption = Annotated[
    Path | None,
    typer.Option("--json", metavar="OUT", help="Write the figures to a file, - for stdout."),
]


def evaluate(
    map_path: options.MapOption,
    queries: QueriesOption,
    image_topic: ImageTopicOption = None,
    pose_topic: TruthTopicOption = None,
    odom_topic: OdometryTopicOption = None,
    radius: options.MapRadiusOption = None,
    sequence: SequenceFlag = False,
    verification_ms: options.VerificationOption = options.LOCALIZER.verification_ms,
    camera_info: options.CameraInfoOption = None,
    json_path: JsonOption = None,
    report: ReportOption = None,
    ray: RayOption = None,
    force: options.ForceFlag = False,
    model: options.MapModelOption = None,
    device: options.DeviceOption = options.MODEL.device,
    runtime: options.RuntimeOption = options.MODEL.runtime,
    trust_code: options.TrustFlag = options.MODEL.trust_code,
) -> None:
    """Measure how well a map answers images whose positions are known.

    Recall@N: share of queries with a place within the radius among their N best. Errors are
    horizontal distances. Precision and recall are over all confidence thresholds; calibration
    compares stated confidence with the share that was right. Time to localize: from the first
    image, or a jump of the truth, to the first accepted right answer.
    With --ray many processes describe the images; an interrupted run goes on when given again.

        progeo evaluate --map city.progeo --queries site/test/queries \\
            --radius 25 --report report/
        progeo evaluate --map lab.progeo --queries lap2.csv --json out.json
        progeo evaluate --map lab.progeo --queries walk.csv \\
            --camera-info camera.yaml
        progeo evaluate --map city.progeo --queries bag/ --sequence --ray auto

    JSON: schema (1), queries, database, protocol, recall_at ("1", "5", "10", "20"),
    position_error_m (median, p90), recall_at_precision ("1.00", "0.99"), auc_pr, accepted,
    false_accepts, off_map_accepts, calibration, ellipse_coverage, nees,
    relocalization (starts, found, images, seconds); with --sequence the same under sequence;
    with --camera-info metric_pose (answered, position_error_m, rotation_error_deg, within,
    wrong_beyond_0.5m, ellipsoid_90); skipped (unusable images), map, queries_file, model, versions.
    """
    if report is not None:
        options.check_folder(report, "answers.csv", force)
    options.check_place(json_path)
    require_file(map_path)
    _check_odometry(odom_topic, queries, sequence)
    topics = BagTopics(image_topic, pose_topic)
    calibration = options.read_intrinsics(camera_info)
    source = _read_queries(queries, map_path, topics, radius, calibration, odom_topic)
    run_by = options.ModelChoice(model, device, runtime, trust_code)
    run = answer_offline(source, run_by, sequence, verification_ms, ray)
    say_skipped(run.skipped)
    if json_path is not None:
        write_json(json_path, _document(run))
    if str(json_path) != "-":
        print_evaluation(run.evaluation, f"{queries} against {map_path}")
        print_poses(run.poses)
    if report is not None:
        _write_report(run, report)


def _check_odometry(topic: str | None, queries: Path, sequence: bool) -> None:
    if topic is None:
        return
    if not sequence:
        raise UsageError("--odom-topic moves a sequence: give --sequence, too")
    if recognize(queries) is not InputKind.BAG:
        raise UsageError(
            f"--odom-topic is of a bag, and {queries} is none: a table has odometry in its columns"
            " odom_x_m, odom_y_m and odom_yaw_rad"
        )


def _write_report(run: Replay, folder: Path) -> None:
    from progeo_core.evaluation.replay_folder import write_replay

    with waiting("writing the report"):
        files = write_replay(run, folder)
    print_fields("", {"report": files.report, "answers": files.answers_csv})


def _read_queries(
    queries: Path,
    map_path: Path,
    topics: BagTopics,
    radius: float | None,
    calibration: Intrinsics | None,
    odom_topic: str | None,
) -> ReplayInput:
    """Return the queries of a table, folder or bag with their truth."""
    from progeo_core.evaluation.replay import read_input, records_input

    if recognize(queries) is InputKind.BAG:
        chosen = choose_topics(queries, topics)
        assert chosen.image is not None
        assert chosen.pose is not None
        return read_input(
            queries,
            map_path,
            chosen.image,
            chosen.pose,
            radius,
            calibration=calibration,
            odometry_topic=odom_topic,
        )
    records = source_of_path(queries, Role.QUERIES, topics).records
    return records_input(queries, map_path, records, radius, calibration)


def answer_offline(
    source: ReplayInput,
    run_by: options.ModelChoice,
    sequence: bool,
    verification_ms: int,
    ray: str | None = None,
) -> Replay:
    """Answer the images of an input in this process; ray: cluster that describes them."""
    from progeo_core.evaluation.replay import replay_offline
    from progeo_core.map.place_map import PlaceMap

    with PlaceMap.open(source.map_path) as place_map, waiting("loading the model"):
        encoder, model = run_by.load(place_map), run_by.name(place_map)
    with (
        _described(source, run_by, model, ray) as described,
        progress("localizing", source.images) as advance,
    ):
        return replay_offline(
            source,
            encoder,
            described,
            sequence=sequence,
            verification_ms=verification_ms,
            extractor=run_by.extractor(),
            advance=advance,
        )


@contextlib.contextmanager
def _described(
    source: ReplayInput, run_by: options.ModelChoice, name: str, ray: str | None
) -> Iterator[Iterator[DescribedImage | ImageError] | None]:
    """Yield the images as a cluster describes them, None without one."""
    if ray is None:
        yield None
        return
    from progeo_core.fleet.described_blocks import FleetModel
    from progeo_core.fleet.described_queries import described_queries

    model = FleetModel(
        name,
        run_by.device,
        run_by.runtime,
        run_by.trust_code,
        features=0,
        one_by_one=source.records is None,
        fingerprint=source.model,
    )
    with ray_describer(ray, model) as describe:
        identity = f"{model} {threads_of_networks()}"
        with contextlib.closing(described_queries(source, describe, identity)) as described:
            yield described


def _document(run: Replay) -> dict[str, Any]:
    """Return the JSON of one run."""
    metric = {} if run.poses is None else {"metric_pose": run.poses.full.to_json()}
    return (
        run.evaluation.to_json()
        | metric
        | {
            "skipped": list(run.skipped),
            "map": str(run.source.map_path),
            "queries_file": str(run.source.queries),
            "model": dataclasses.asdict(run.source.model),
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
    tables().print()
    tables().print(table)
    tables().print(protocol_of_poses(comparison), highlight=False)


def print_evaluation(evaluation: Evaluation, title: str) -> None:
    """Print the main figures as a table, a column for single images and one for the sequence."""
    from progeo_core.evaluation.metrics import figure_rows, radius_text

    table = _table(title)
    for name in evaluation.runs:
        table.add_column(name, justify="right")
    for row in zip(*(figure_rows(run) for run in evaluation.runs.values()), strict=True):
        table.add_row(row[0].name, *(figure.value for figure in row))
    tables().print(table)
    with_places = int(evaluation.localizable.sum())
    tables().print(
        f"{evaluation.queries} queries, {with_places} with a place within"
        f" {radius_text(evaluation.radius_m)} among {evaluation.database}; all of them count.",
        highlight=False,
    )
    warn_of_wide_radius(evaluation.radius_m, evaluation.chance)


def warn_of_wide_radius(radius_m: float, chance: float) -> None:
    """Warn where most places count as right; chance: recall of a place taken at random."""
    from progeo_core.evaluation.metrics import radius_text

    if chance > _WIDE:
        say_problem(
            "warning",
            f"{chance:.0%} of the places lie within {radius_text(radius_m)} of a query and count as"
            " right, so these figures say little; give a smaller --radius",
        )


def _table(title: str) -> Table:
    """Return a table whose first column names the rows."""
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    table.add_column("")
    return table
