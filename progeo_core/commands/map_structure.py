"""`progeo map structure`: local features and 3-D points for a map; `map build` ends with it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from progeo_core.bags.recognition import TF_FRAMES, BagTopics
from progeo_core.commands.console import (
    print_fields,
    progress,
    say_problem,
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
    TfFramesOption,
    named_source,
)
from progeo_core.commands.options import (
    MODEL,
    CameraInfoOption,
    DeviceOption,
    MapArgument,
    PoseGapOption,
    read_intrinsics,
)
from progeo_core.errors import UsageError, counted
from progeo_core.map.place_features import MAX_FEATURES, PLACE_FEATURES
from progeo_core.poses.pose_track import MAX_POSE_GAP_S
from progeo_core.records.records import Heading

if TYPE_CHECKING:
    from progeo_core.verification.view_finder import DepthViewFinder

# Features that are found for each one that is kept where landmarks are triangulated: those whose
# landmark is surest stay.
_CANDIDATES = 2

FeaturesOption = Annotated[
    int,
    typer.Option(
        "--features",
        metavar="N",
        help="Local features that the map keeps per place, 82 bytes each; `map build` takes 0, too:"
        " thumbnails only, and no 3-D points.",
        min=0,
        max=MAX_FEATURES // _CANDIDATES,
    ),
]


def structure(
    map_path: MapArgument,
    camera_info: CameraInfoOption = None,
    records: RecordsOption = None,
    images: ImagesOption = None,
    bag: BagOption = None,
    image_topic: ImageTopicOption = None,
    pose_topic: PoseTopicOption = None,
    depth_topic: DepthTopicOption = None,
    camera_poses: CameraPosesFlag = False,
    max_pose_gap: PoseGapOption = MAX_POSE_GAP_S,
    heading_convention: HeadingOption = Heading.UNKNOWN,
    tf_frames: TfFramesOption = TF_FRAMES,
    features: FeaturesOption = PLACE_FEATURES,
    device: DeviceOption = MODEL.device,
) -> None:
    """Give a map the local features and 3-D points that it lacks.

    Features come from the images that the map was built from, where these are named again, else
    from the map's thumbnails. Where calibration and orientation of the camera are known, features
    get 3-D points: from depth, or else triangulated between the places. An orientation that is
    unknown is looked for between the positions; places where it is not sure stay as they are.
    Places that have 3-D points are left alone, and an interrupted run is continued by the same
    command.

        progeo map structure lab.progeo --records lab.csv \\
            --camera-info camera.yaml
        progeo map structure old.progeo --camera-info camera.yaml
    """
    from progeo_core.map.place_map import PlaceMap
    from progeo_core.verification.map_poses import add_poses
    from progeo_core.verification.map_views import complete_views

    if not features:
        raise UsageError("--features 0 finds nothing: give at least 1, or leave it out")
    topics = BagTopics(image_topic, pose_topic, depth_topic, camera_poses, max_pose_gap, tf_frames)
    source = None
    if (records, images, bag) != (None, None, None) or topics != BagTopics():
        source = named_source(None, records, images, bag, topics, heading_convention, camera_info)
    with PlaceMap.open(map_path, writable=True) as place_map:
        with waiting("loading the network"):
            finder = feature_finder(features, device)
        with progress("finding local features", len(place_map)) as advance:
            calibration = read_intrinsics(camera_info)
            report = complete_views(place_map, finder, source, calibration, advance)
        say_skipped(report.skipped)
        counts = {
            "features from images": counted(report.from_images, "place"),
            "features from thumbnails": counted(report.from_thumbnails, "place"),
        }
        with progress("finding camera poses", len(place_map)) as advance:
            poses = add_poses(place_map, advance)
        if poses.places:
            found = f"{poses.posed} of {counted(poses.places, 'place')}"
            counts["camera poses between positions"] = found
    print_fields(str(map_path), counts | finish_structure(map_path, finder))


def feature_finder(features: int, device: str, runtime: str = MODEL.runtime) -> DepthViewFinder:
    """Return a finder of so many local features per image, on a device in a runtime."""
    from progeo_core.inference.feature_extractor import shared_extractor
    from progeo_core.verification.view_finder import DepthViewFinder

    return DepthViewFinder(shared_extractor(device, runtime), features, _CANDIDATES * features)


def finish_structure(
    map_path: Path, finder: DepthViewFinder | None, added: int | None = None
) -> dict[str, str]:
    """Triangulate what lacks 3-D points; return what there is in the end, as readable lines.

    finder: None leaves the map as it is. added: how many of the newest places have been added just
    now, whose points are compared with the images of others; None compares all.
    """
    if finder is None:
        return {}
    from progeo_core.map.place_map import PlaceMap
    from progeo_core.map.summary import structure_lines
    from progeo_core.verification.map_landmarks import add_landmarks

    with PlaceMap.open(map_path, writable=True) as place_map:
        newest = place_map.ids()[0 if added is None else len(place_map) - added :]
        with progress("finding 3-D points", len(place_map)) as advance:
            report = add_landmarks(place_map, newest, finder.features, advance)
        if report.contradicting:
            first = place_map.images(report.contradicting[:1])[0]
            lost = "; ".join(report.refusals)
            say_problem("warning", f"3-D points are refused {lost}; first: {first}")
        lines = structure_lines(place_map.view_counts(), place_map.structure)
    unused = finder.faults.total()
    return lines | ({"calibration or depth not used": counted(unused, "image")} if unused else {})
