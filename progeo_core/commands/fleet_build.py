"""`progeo fleet build`: images with known positions to the fleet's store, by Ray or here."""

from __future__ import annotations

import contextlib
import platform
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from progeo_core.bags.recognition import TF_FRAMES, BagTopics
from progeo_core.commands.console import print_fields, progress, say_skipped, waiting
from progeo_core.commands.fleet_share import RobotOption, StoreArgument
from progeo_core.commands.map_images import (
    BagOption,
    CameraPosesFlag,
    DepthTopicOption,
    HeadingOption,
    ImagesOption,
    ImageTopicOption,
    PoseTopicOption,
    RecordsOption,
    SourceArgument,
    TfFramesOption,
    named_source,
)
from progeo_core.commands.map_structure import FeaturesOption
from progeo_core.commands.options import (
    MODEL,
    CameraInfoOption,
    DeviceOption,
    ModelOption,
    PoseGapOption,
    RuntimeOption,
    TrustFlag,
)
from progeo_core.commands.ray_option import RayOption, ray_describer, threads_of_networks
from progeo_core.geo import parse_datum
from progeo_core.map.place_features import PLACE_FEATURES
from progeo_core.poses.pose_track import MAX_POSE_GAP_S
from progeo_core.records.records import Heading

if TYPE_CHECKING:
    from progeo_core.descriptors.fingerprint import ModelFingerprint
    from progeo_core.fleet.build import BuildReport, Describer
    from progeo_core.fleet.described_blocks import FleetModel
    from progeo_core.records.image_source import ImageSource

_SessionOption = Annotated[
    str | None,
    typer.Option(
        "--session",
        metavar="NAME",
        help="What the fleet calls this drive of the robot. Default: the name of the input.",
        show_default=False,
    ),
]
_DatumOption = Annotated[
    str | None,
    typer.Option(
        "--datum",
        metavar="LAT,LON[,ALT]",
        help="Degrees and metres (WGS84) of the point that the metres of the input start from."
        " Default: that of the session, else the first position where these are degrees.",
    ),
]


def build(
    uri: StoreArgument,
    source_path: SourceArgument = None,
    robot: RobotOption = None,
    session: _SessionOption = None,
    ray: RayOption = None,
    datum: _DatumOption = None,
    records: RecordsOption = None,
    images: ImagesOption = None,
    bag: BagOption = None,
    image_topic: ImageTopicOption = None,
    pose_topic: PoseTopicOption = None,
    depth_topic: DepthTopicOption = None,
    camera_poses: CameraPosesFlag = False,
    tf_frames: TfFramesOption = TF_FRAMES,
    max_pose_gap: PoseGapOption = MAX_POSE_GAP_S,
    heading_convention: HeadingOption = Heading.UNKNOWN,
    camera_info: CameraInfoOption = None,
    features: FeaturesOption = PLACE_FEATURES,
    model: ModelOption = MODEL.model,
    device: DeviceOption = MODEL.device,
    runtime: RuntimeOption = MODEL.runtime,
    trust_code: TrustFlag = MODEL.trust_code,
) -> None:
    """Add images with known positions to the fleet's store, without a map file between.

    Batches are kept as soon as they are counted; after an interruption the same command goes on
    with the rest. Places are named as those of a map that is built from the same input and pushed
    as the same session. A network takes one core, or as many as OMP_NUM_THREADS says.

        progeo fleet build /mnt/fleet drives/monday.csv --robot ada
        progeo fleet build s3://fleet/places photos/ --robot ada --ray local
        progeo fleet build s3://fleet/places --bag drive/ --robot ada \\
            --session monday --ray auto
    """
    named = source_path, records, images, bag
    topics = BagTopics(image_topic, pose_topic, depth_topic, camera_poses, max_pose_gap, tf_frames)
    parsed = None if datum is None else parse_datum(datum)
    source = named_source(*named, topics, heading_convention, camera_info)
    from progeo_core.fleet.build import build_fleet, session_of_records
    from progeo_core.fleet.described_blocks import FleetModel
    from progeo_core.fleet.lance_store import open_fleet

    chosen = FleetModel(model, device, runtime, trust_code, features)
    with _describer(chosen, ray) as (fingerprint, describe):
        with waiting("opening the store"):
            store = open_fleet(uri, fingerprint)
            owner = platform.node() if robot is None else robot
            if session is None:
                session = _name_of(next(path for path in named if path is not None))
            drive = session_of_records(store, source.records, owner, session, parsed)
        with progress("describing images", len(source.records)) as advance:
            report = build_fleet(store, source, drive, describe, advance=advance)
    say_skipped(report.skipped)
    print_fields(uri, {"robot": drive.robot, "session": drive.name} | _counts(report, source))


@contextlib.contextmanager
def _describer(model: FleetModel, ray: str | None) -> Iterator[tuple[ModelFingerprint, Describer]]:
    """Yield what the model is, and what describes images with it while the block runs."""
    from progeo_core.fleet.build import in_this_process
    from progeo_core.inference.device import limit_threads

    limit_threads(threads_of_networks())
    if ray is None:
        with waiting("loading the model"):
            encoder, finder = model.load()
        yield encoder.fingerprint, in_this_process(encoder, finder)
        return
    with waiting("loading the model"):
        fingerprint = model._replace(features=0).load()[0].fingerprint
    with ray_describer(ray, model._replace(fingerprint=fingerprint)) as describe:
        yield fingerprint, describe


def _name_of(path: Path) -> str:
    """Return what an input is called, without the suffix of a file."""
    full = path.resolve()
    return full.stem if full.is_file() else full.name


def _counts(report: BuildReport, source: ImageSource) -> dict[str, object]:
    counts: dict[str, object] = {
        "added": report.added,
        "in the store already": report.known,
        "skipped": len(report.skipped) + len(source.unplaced),
    }
    if report.unlikely_stamps:
        counts["with unlikely stamps"] = report.unlikely_stamps
    return counts
