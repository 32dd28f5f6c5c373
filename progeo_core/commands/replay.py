"""`progeo replay`: a bag through the localizer, or through the real node, and a report of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer

from progeo_core.commands import options
from progeo_core.commands.console import print_fields, progress, waiting
from progeo_core.commands.evaluate import print_evaluation, print_poses
from progeo_core.commands.map_images import CameraPosesFlag
from progeo_core.errors import UsageError
from progeo_core.poses.pose_track import MAX_POSE_GAP_S

if TYPE_CHECKING:
    from progeo_core.evaluation.replay import Replay, ReplayInput
    from progeo_core.evaluation.replay_folder import ReplayFolder

BagArgument = Annotated[
    Path, typer.Argument(metavar="BAG", help="rosbag2, folder or file.", show_default=False)
]
ImageTopicOption = Annotated[
    str, typer.Option("--image-topic", metavar="T", help="Image or CompressedImage.")
]
TruthTopicOption = Annotated[
    str,
    typer.Option(
        "--ground-truth-topic",
        metavar="G",
        help="PoseStamped (also with covariance) or Odometry in the map's metres, or NavSatFix;"
        " interpolated to the images' stamps.",
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
    image_topic: ImageTopicOption,
    ground_truth_topic: TruthTopicOption,
    max_pose_gap: options.PoseGapOption = MAX_POSE_GAP_S,
    report: ReportOption = Path("replay_report"),
    live: LiveFlag = False,
    single: SingleFlag = False,
    verification_ms: options.VerificationOption = options.LOCALIZER.verification_ms,
    camera_info: options.CameraInfoOption = None,
    camera_poses: CameraPosesFlag = False,
    radius: options.RadiusOption = options.PROTOCOL.radius_m,
    model: options.ModelOption = options.MODEL.model,
    device: options.DeviceOption = options.MODEL.device,
    runtime: options.RuntimeOption = options.MODEL.runtime,
    trust_code: options.TrustFlag = options.MODEL.trust_code,
) -> None:
    """Evaluate a map on a bag: how often right, how sure and how fast the answers are.

    Offline, images are answered one after the other, as fast as it goes. With --live the bag is
    played to the node; a busy node drops old images, and the report counts them.

        progeo replay drive/ --map yard.progeo --image-topic /camera/image_raw \\
            --ground-truth-topic /ground_truth/pose --report report/

    With a calibration and a map with landmarks, answers are full poses of the camera. Their
    rotation counts as unknown unless --camera-poses says that the ground truth is the camera's.

    The folder has report.html, summary.json, trajectory.tum, ground_truth.tum (for evo), matches/.
    summary.json: the keys of `evaluate --json` over the answered images with ground truth (with a
    calibration metric_pose), images, answered, dropped, dropped_by, latency_ms (p50, p95, p99),
    mode, published (sequence or single image), bag, map, model, versions.
    """
    from progeo_core.evaluation.live_answers import replay_live
    from progeo_core.evaluation.replay import read_input
    from progeo_core.evaluation.replay_folder import write_replay

    _refuse_choices(live, device, runtime, trust_code)
    with waiting("reading the bag"):
        source = read_input(
            bag_path,
            map_path,
            image_topic,
            ground_truth_topic,
            radius,
            max_pose_gap,
            calibration=options.read_intrinsics(camera_info),
            camera_poses=camera_poses,
        )
    if live:
        run = replay_live(source, model, sequence=not single, verification_ms=verification_ms)
    else:
        run = _offline(source, model, device, runtime, trust_code, not single, verification_ms)
    with waiting("writing the report"):
        files = write_replay(run, report)
    print_evaluation(run.evaluation, f"{bag_path} against {map_path}, {run.mode}")
    if run.has_full_poses:
        print_poses(run.poses)
    _print_replay(run, files)


def _refuse_choices(live: bool, device: str, runtime: str, trust_code: bool) -> None:
    """Raise `UsageError` where something is chosen that the live node chooses by itself."""
    chosen, default = (device, runtime, trust_code), options.MODEL
    if live and chosen != (default.device, default.runtime, default.trust_code):
        raise UsageError(
            "--device and --runtime go with an offline replay, and so does --trust-code; the live"
            " node chooses by itself"
        )


def _offline(
    source: ReplayInput,
    model: str,
    device: str,
    runtime: str,
    trust_code: bool,
    sequence: bool,
    verification_ms: int,
) -> Replay:
    """Answer the images of a bag in this process."""
    from progeo_core.evaluation.replay import replay_offline
    from progeo_core.inference.loading import load_encoder

    with waiting("loading the model"):
        encoder = load_encoder(model, device, runtime, trust_code=trust_code)
    with progress("replaying", source.images) as advance:
        return replay_offline(
            source,
            encoder,
            sequence=sequence,
            verification_ms=verification_ms,
            device=device,
            advance=advance,
        )


def _print_replay(run: Replay, files: ReplayFolder) -> None:
    p50, p95, p99 = np.percentile(run.latency_ms, [50, 95, 99])
    fields = {
        "images": f"{run.source.images}: {run.answered} answered, {run.dropped} dropped",
        "latency": f"{p50:.0f} ms median, {p95:.0f} ms 95 %, {p99:.0f} ms 99 %",
    }
    print_fields("", fields | {"report": files.report, "match images": files.matches})
