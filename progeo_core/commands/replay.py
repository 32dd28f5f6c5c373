"""`progeo replay`: a bag through the localizer, or through the real node, and a report of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from progeo_core.bags.recognition import BagTopics, choose_topics, recognize, require_new
from progeo_core.commands import options
from progeo_core.commands.console import print_fields, say_skipped, waiting
from progeo_core.commands.evaluate import (
    OdometryTopicOption,
    answer_offline,
    print_evaluation,
    print_poses,
)
from progeo_core.commands.map_images import CameraPosesFlag, ImageTopicOption
from progeo_core.errors import UsageError
from progeo_core.map.sqlite_file import require_file
from progeo_core.poses.pose_track import MAX_POSE_GAP_S

if TYPE_CHECKING:
    from progeo_core.evaluation.replay import Replay
    from progeo_core.evaluation.replay_folder import ReplayFolder

BagArgument = Annotated[
    Path, typer.Argument(metavar="BAG", help="rosbag2, folder or file.", show_default=False)
]
TruthTopicOption = Annotated[
    str | None,
    typer.Option(
        "--ground-truth-topic",
        metavar="G",
        help="PoseStamped (also with covariance) or Odometry in the map's metres, or NavSatFix;"
        " interpolated to the images' stamps. May be left out where the bag has only one.",
    ),
]
ReportOption = Annotated[
    Path, typer.Option("--report", metavar="DIR", help="Folder for the report; created if missing.")
]
LiveFlag = Annotated[
    bool,
    typer.Option(
        "--live",
        help="Play the bag to the real ROS 2 node in its own process, over DDS at the bag's pace.",
    ),
]
BagOutOption = Annotated[
    Path | None,
    typer.Option(
        "--bag-out",
        metavar="BAG",
        help="New rosbag2 for the accepted answers, as the node would publish them.",
    ),
]
SingleFlag = Annotated[
    bool,
    typer.Option(
        "--single",
        help="Answer every image by itself, as the node does with sequence:=false; by default the"
        " robot is followed from image to image.",
    ),
]


def replay(
    bag_path: BagArgument,
    map_path: options.MapOption,
    image_topic: ImageTopicOption = None,
    ground_truth_topic: TruthTopicOption = None,
    max_pose_gap: options.PoseGapOption = MAX_POSE_GAP_S,
    report: ReportOption = Path("replay_report"),
    live: LiveFlag = False,
    single: SingleFlag = False,
    odom_topic: OdometryTopicOption = None,
    verification_ms: options.VerificationOption = options.LOCALIZER.verification_ms,
    camera_info: options.CameraInfoOption = None,
    camera_poses: CameraPosesFlag = False,
    radius: options.MapRadiusOption = None,
    bag_out: BagOutOption = None,
    force: options.ForceFlag = False,
    model: options.MapModelOption = None,
    device: options.DeviceOption = options.MODEL.device,
    runtime: options.RuntimeOption = options.MODEL.runtime,
    trust_code: options.TrustFlag = options.MODEL.trust_code,
) -> None:
    """Evaluate a map on a bag: how often right, how sure and how fast the answers are.

    Images are answered one after the other, as fast as it goes. With --live the bag is played to
    the node; a busy node drops old images, and the report counts them.
    With a calibration and a map with landmarks, answers are full poses of the camera. Their
    rotation counts as unknown unless --camera-poses says that the ground truth is the camera's.

        progeo replay drive/ --map yard.progeo --image-topic /camera/image_raw \\
            --ground-truth-topic /ground_truth/pose --report report/

    The folder has report.html, answers.csv and .jsonl, matches/, .tum (for evo) and summary.json:
    keys of `evaluate --json` over the answered images with ground truth, images, answered, dropped,
    dropped_by, latency_ms (p50, p95, p99), mode, published, bag, map, model, versions.
    """
    _refuse_choices(live, device, runtime, trust_code, odom_topic)
    _check_paths(bag_path, map_path, report, bag_out, force)
    from progeo_core.evaluation.live_answers import replay_live
    from progeo_core.evaluation.replay import read_input

    with waiting("reading the bag"):
        source = read_input(
            bag_path,
            map_path,
            *_topics(bag_path, image_topic, ground_truth_topic),
            radius,
            max_pose_gap,
            calibration=options.read_intrinsics(camera_info),
            camera_poses=camera_poses,
            odometry_topic=odom_topic,
        )
    if live:
        name = _live_model(map_path, model)
        run = replay_live(source, name, sequence=not single, verification_ms=verification_ms)
    else:
        run_by = options.ModelChoice(model, device, runtime, trust_code)
        run = answer_offline(source, run_by, not single, verification_ms)
    say_skipped(run.skipped)
    files = _write_files(run, report, bag_out)
    _print_replay(run, files)


def _topics(bag_path: Path, image: str | None, ground_truth: str | None) -> tuple[str, str]:
    """Return the topics of images and poses, the only ones of the bag where none is named."""
    topics = choose_topics(bag_path, BagTopics(image, ground_truth), "--ground-truth-topic")
    assert topics.image is not None
    assert topics.pose is not None
    return topics.image, topics.pose


def _refuse_choices(
    live: bool, device: str, runtime: str, trust_code: bool, odom_topic: str | None
) -> None:
    """Raise `UsageError` where something is chosen that the live node chooses by itself."""
    chosen, default = (device, runtime, trust_code), options.MODEL
    if live and chosen != (default.device, default.runtime, default.trust_code):
        raise UsageError(
            "--device and --runtime go with an offline replay, and so does --trust-code; the live"
            " node chooses by itself"
        )
    if live and odom_topic is not None:
        raise UsageError("--odom-topic goes with an offline replay: the live one plays images only")


def _check_paths(
    bag_path: Path, map_path: Path, report: Path, bag_out: Path | None, force: bool
) -> None:
    """Raise an error for a path that cannot be, before anything that takes time is imported."""
    require_file(map_path)
    recognize(bag_path)
    options.check_folder(report, "summary.json", force)
    if bag_out is not None:
        require_new(bag_out)


def _write_files(run: Replay, report: Path, bag_out: Path | None) -> ReplayFolder:
    from progeo_core.bags.answers_bag import write_answers_bag
    from progeo_core.evaluation.replay_folder import published_estimates, write_replay

    with waiting("writing the report"):
        files = write_replay(run, report)
        if bag_out is not None:
            write_answers_bag(bag_out, published_estimates(run))
    return files


def _live_model(map_path: Path, model: str | None) -> str:
    from progeo_core.inference.map_model import model_of_map
    from progeo_core.map.place_map import PlaceMap

    with PlaceMap.open(map_path) as place_map:
        return model or model_of_map(place_map)


def _print_replay(run: Replay, files: ReplayFolder) -> None:
    import numpy as np

    source = run.source
    print_evaluation(run.evaluation, f"{source.queries} against {source.map_path}, {run.mode}")
    without = {}
    if run.has_full_poses:
        print_poses(run.poses)
    elif run.poses is not None and run.poses.why_none:
        without = {"full poses": f"none; most often: {run.poses.why_none}"}
    p50, p95, p99 = np.percentile(run.latency_ms, [50, 95, 99])
    fields = {
        "images": f"{run.source.images}: {run.answered} answered, {run.dropped} dropped",
        "latency": f"{p50:.0f} ms median, {p95:.0f} ms 95 %, {p99:.0f} ms 99 %",
    }
    print_fields("", fields | without | {"report": files.report, "match images": files.matches})
