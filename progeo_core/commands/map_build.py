"""`progeo map build`: a map from images with known positions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from progeo_core.bags.recognition import TF_FRAMES, BagTopics
from progeo_core.commands.console import (
    print_fields,
    progress,
    say_skipped,
    waiting,
)
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
from progeo_core.commands.map_structure import (
    FeaturesOption,
    feature_finder,
    finish_structure,
)
from progeo_core.commands.options import (
    MODEL,
    CameraInfoOption,
    DeviceOption,
    MapArgument,
    ModelChoice,
    ModelSettings,
    PoseGapOption,
    RuntimeOption,
    TrustFlag,
    setting_option,
)
from progeo_core.geo import parse_datum
from progeo_core.map.place_features import PLACE_FEATURES
from progeo_core.poses.pose_track import MAX_POSE_GAP_S
from progeo_core.records.records import Heading

if TYPE_CHECKING:
    from progeo_core.descriptors.encoder import Encoder
    from progeo_core.map.build import MapReport
    from progeo_core.records.image_source import ImageSource

_DatumOption = Annotated[
    str | None,
    typer.Option(
        "--datum",
        metavar="LAT,LON[,ALT]",
        help="Degrees and metres (WGS84) of the point that the map's east-north-up metres"
        " start from. Default: the first position where these are degrees, else none; without"
        " a datum the map gives metres only.",
    ),
]
_DimensionOption = Annotated[
    int | None,
    typer.Option(
        "--dimension",
        metavar="N",
        help="Keep N values of each descriptor: principal components, learned from the map once all"
        " images are in it and stored there; queries are shortened in the same way. Default: all.",
        min=2,
        show_default=False,
    ),
]
_ModelOption = Annotated[
    str | None,
    setting_option(
        ModelSettings, "model", "--model", "MODEL", f"{MODEL.model}, with --append the map's own"
    ),
]
_AppendFlag = Annotated[
    bool,
    typer.Option(
        "--append",
        help="Add to a map that exists. Images that it has already are left alone, so this"
        " also continues an interrupted build.",
    ),
]


def build(
    map_path: MapArgument,
    source_path: SourceArgument = None,
    records: RecordsOption = None,
    images: ImagesOption = None,
    bag: BagOption = None,
    image_topic: ImageTopicOption = None,
    pose_topic: PoseTopicOption = None,
    depth_topic: DepthTopicOption = None,
    camera_poses: CameraPosesFlag = False,
    max_pose_gap: PoseGapOption = MAX_POSE_GAP_S,
    camera_info: CameraInfoOption = None,
    tf_frames: TfFramesOption = TF_FRAMES,
    heading_convention: HeadingOption = Heading.UNKNOWN,
    datum: _DatumOption = None,
    append: _AppendFlag = False,
    features: FeaturesOption = PLACE_FEATURES,
    dimension: _DimensionOption = None,
    model: _ModelOption = None,
    device: DeviceOption = MODEL.device,
    runtime: RuntimeOption = MODEL.runtime,
    trust_code: TrustFlag = MODEL.trust_code,
) -> None:
    """Build a map from images with known positions, or extend one.

    Positions come from a table, names, GPS tags or a bag. An interruption loses no place. Local
    features are kept, too; with the camera's calibration and orientation, with 3-D points.

        progeo map build city.progeo photos/
        progeo map build yard.progeo --bag drive/ --image-topic /camera \\
            --pose-topic /odometry/filtered --datum 48.137,11.575
        progeo map build lab.progeo --records lab.csv --camera-info camera.yaml
        progeo map build city.progeo photos/ --model megaloc \\
            --trust-code --dimension 512
    """
    from progeo_core.map.build import build_map, check_target

    check_target(map_path, append)
    parsed = None if datum is None else parse_datum(datum)
    topics = BagTopics(image_topic, pose_topic, depth_topic, camera_poses, max_pose_gap, tf_frames)
    named = source_path, records, images, bag
    source = named_source(*named, topics, heading_convention, camera_info)
    with waiting("loading the model"):
        choice = ModelChoice(model, device, runtime, trust_code)
        encoder = _load_encoder(choice, map_path if append else None)
        finder = feature_finder(features, device, runtime) if features else None
    with progress("building the map", len(source.records)) as advance:
        report = build_map(
            map_path,
            source,
            encoder,
            datum=parsed,
            append=append,
            structure=finder,
            dimension=dimension,
            advance=advance,
        )
    say_skipped(report.skipped)
    fields = _counts(report, source) | finish_structure(map_path, finder, report.added)
    print_fields(str(map_path), fields | _told_apart(map_path))


def _load_encoder(choice: ModelChoice, extended: Path | None) -> Encoder:
    """Load the encoder for a new map, or for one that is extended, which names its model."""
    if extended is None:
        from progeo_core.inference.loading import load_encoder

        model, device, runtime, trust_code = choice
        return load_encoder(model or MODEL.model, device, runtime, trust_code=trust_code)
    from progeo_core.map.place_map import PlaceMap

    with PlaceMap.open(extended) as place_map:
        return choice.load(place_map)


def _counts(report: MapReport, source: ImageSource) -> dict[str, object]:
    """Return readable counts; images without a position, which the reader named, are skipped."""
    from progeo_core.map.summary import datum_line

    return {
        "added": report.added,
        "in the map already": report.known,
        "skipped": len(report.skipped) + len(source.unplaced),
        "places in the map": report.places,
        "datum": datum_line(report.datum),
    }


def _told_apart(map_path: Path) -> dict[str, str]:
    """Return a readable line about how well the model tells the map's places apart, or none."""
    from progeo_core.localization.telling_apart import how_places_are_told_apart
    from progeo_core.map.place_map import PlaceMap

    with PlaceMap.open(map_path) as place_map:
        line = how_places_are_told_apart(place_map)
    return {"look-alikes": line} if line else {}
