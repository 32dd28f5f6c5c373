"""Options of `progeo map` that name images with known positions, and the source that they name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from progeo_core.commands.options import read_intrinsics
from progeo_core.errors import UsageError
from progeo_core.poses.pose_track import MAX_POSE_GAP_S
from progeo_core.records.records import Heading

if TYPE_CHECKING:
    from progeo_core.records.image_source import ImageSource

TF_FRAMES = "map,base_link"
RecordsOption = Annotated[
    Path | None,
    typer.Option(
        "--records",
        metavar="CSV",
        help="records.csv: image and x_m,y_m (z_m, yaw_rad) or lat_deg,lon_deg"
        " (alt_m, heading_deg); optional qx,qy,qz,qw (orientation of the camera), depth (image),"
        " stamp_ns, camera, traverse.",
    ),
]
ImagesOption = Annotated[
    Path | None,
    typer.Option("--images", metavar="DIR", help="Folder of images with '@' names or EXIF GPS."),
]
BagOption = Annotated[
    Path | None,
    typer.Option("--bag", metavar="BAG", help="rosbag2 (sqlite3 or mcap), folder or file."),
]
ImageTopicOption = Annotated[
    str | None,
    typer.Option("--image-topic", metavar="T", help="With --bag: Image or CompressedImage."),
]
PoseTopicOption = Annotated[
    str | None,
    typer.Option(
        "--pose-topic",
        metavar="P",
        help="With --bag: PoseStamped, PoseWithCovarianceStamped, Odometry or NavSatFix,"
        " interpolated to the images' stamps; or /tf, with /tf_static beside it.",
    ),
]
TfFramesOption = Annotated[
    str,
    typer.Option(
        "--tf-frames",
        metavar="MAP,BASE",
        help="With --pose-topic /tf: the frame of the map, and the frame whose pose in it is taken;"
        " with --camera-poses, that of the images instead.",
    ),
]
DepthTopicOption = Annotated[
    str | None,
    typer.Option(
        "--depth-topic",
        metavar="T",
        help="With --bag: raw depth images (16UC1 in mm or 32FC1 in m) registered to the images;"
        " the nearest within 0.05 s counts.",
    ),
]
CameraPosesFlag = Annotated[
    bool,
    typer.Option(
        "--camera-poses",
        help="The pose topic gives the poses of the camera's optical frame, not the robot's base;"
        " /tf always knows them.",
    ),
]
HeadingOption = Annotated[
    Heading,
    typer.Option(
        "--heading-convention",
        help="What the heading field of '@' names means: azimuth is degrees clockwise from"
        " north; unknown leaves the direction of every place unknown.",
    ),
]


class BagTopics(NamedTuple):
    """Options that go with --bag."""

    image: str | None = None
    pose: str | None = None
    depth: str | None = None
    camera_poses: bool = False
    max_pose_gap_s: float = MAX_POSE_GAP_S
    tf_frames: str = TF_FRAMES


def named_source(
    records: Path | None,
    images: Path | None,
    bag: Path | None,
    topics: BagTopics,
    heading: Heading,
    camera_info: Path | None,
) -> ImageSource:
    """Return the one source that was named; raise `UsageError` for none, several, or half a one."""
    from progeo_core.bags.bag_source import source_of_bag
    from progeo_core.bags.transforms import PoseFrames
    from progeo_core.records.image_source import source_of_folder, source_of_records

    named = [
        flag
        for flag, value in (("--records", records), ("--images", images), ("--bag", bag))
        if value is not None
    ]
    if len(named) != 1:
        found = " and ".join(named) or "none"
        raise UsageError(f"give exactly one of --records, --images and --bag, not {found}")
    if bag is None and topics != BagTopics():
        raise UsageError(
            "--image-topic, --pose-topic, --depth-topic, --camera-poses, --max-pose-gap and"
            f" --tf-frames go with --bag, not with {named[0]}"
        )
    calibration = read_intrinsics(camera_info)
    if records is not None:
        return source_of_records(records, calibration)
    if images is not None:
        return source_of_folder(images, heading, calibration)
    assert bag is not None
    if topics.image is None or topics.pose is None:
        raise UsageError("--bag needs --image-topic and --pose-topic: name one topic of each")
    return source_of_bag(
        bag,
        topics.image,
        topics.pose,
        topics.max_pose_gap_s,
        depth_topic=topics.depth,
        calibration=calibration,
        camera_pose=topics.camera_poses,
        frames=PoseFrames.from_text(topics.tf_frames),
    )
