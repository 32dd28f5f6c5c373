"""Options of `progeo map` that name images with known positions, and the source that they name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from progeo_core.bags.recognition import (
    BagTopics,
    InputKind,
    Role,
    recognize,
    source_of_path,
)
from progeo_core.commands.options import read_intrinsics
from progeo_core.errors import UsageError
from progeo_core.records.records import Heading

if TYPE_CHECKING:
    from progeo_core.records.image_source import ImageSource

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
SourceArgument = Annotated[
    Path | None,
    typer.Argument(
        metavar="IMAGES",
        help="Where the images are, which is recognised: a table (CSV), a folder ('@' names, EXIF"
        " GPS, or with `database` in it), or a bag.",
        show_default=False,
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
    typer.Option(
        "--image-topic",
        metavar="T",
        help="Of a bag: Image or CompressedImage; may be left out where the bag has only one.",
    ),
]
PoseTopicOption = Annotated[
    str | None,
    typer.Option(
        "--pose-topic",
        metavar="P",
        help="Of a bag: PoseStamped, PoseWithCovarianceStamped, Odometry or NavSatFix,"
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
        help="Of a bag: raw depth images (16UC1 in mm or 32FC1 in m) registered to the images;"
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


def named_source(
    path: Path | None,
    records: Path | None,
    images: Path | None,
    bag: Path | None,
    topics: BagTopics,
    heading: Heading,
    camera_info: Path | None,
) -> ImageSource:
    """Return the one source that was named; raise `UsageError` for none or several.

    path: recognised by what it is, unlike the others. Files have their whole paths, so that they
    are the same from any working folder.
    """
    named = [
        (flag, value, kind)
        for flag, value, kind in (
            ("a path", path, None),
            ("--records", records, InputKind.TABLE),
            ("--images", images, InputKind.FOLDER),
            ("--bag", bag, InputKind.BAG),
        )
        if value is not None
    ]
    if len(named) != 1:
        found = " and ".join(flag for flag, _, _ in named) or "none"
        raise UsageError(f"give exactly one of a path, --records, --images and --bag, not {found}")
    _, value, kind = named[0]
    calibration = read_intrinsics(camera_info)
    kind = kind or recognize(value)
    if kind is not InputKind.BAG:
        value = value.resolve() if ".." in value.parts else value.absolute()
    return source_of_path(value, Role.DATABASE, topics, heading, calibration, kind)
