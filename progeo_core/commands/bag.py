"""`progeo bag`: recordings."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Annotated

import typer

from progeo_core.commands.console import print_fields, progress, say_skipped
from progeo_core.commands.options import CameraInfoOption, read_intrinsics
from progeo_core.commands.typer_versions import CommandGroup
from progeo_core.records.records import read_records

app = CommandGroup(no_args_is_help=True, help="Make bags.")


class _Storage(str, enum.Enum):
    """Storages of rosbag2; typer 0.9 knows no `Literal`, and no default that is no text."""

    mcap = "mcap"
    sqlite3 = "sqlite3"


@app.command()
def make(
    bag_path: Annotated[
        Path, typer.Argument(metavar="BAG", help="New bag folder.", show_default=False)
    ],
    records: Annotated[
        Path,
        typer.Option(
            "--records", metavar="CSV", help="records.csv: images with positions, one traverse."
        ),
    ],
    rate: Annotated[
        float | None,
        typer.Option(
            "--rate",
            metavar="HZ",
            help="Images per second, evenly spaced. Default: the stamps of the records, or 10 Hz if"
            " they have none.",
        ),
    ] = None,
    compressed: Annotated[
        bool,
        typer.Option(
            "--compressed", help="Write CompressedImage (JPEG, PNG) instead of raw rgb8 Image."
        ),
    ] = False,
    storage: Annotated[
        _Storage,
        typer.Option("--storage", help="Storage of the bag; every distribution reads sqlite3."),
    ] = _Storage.sqlite3,
    camera_info: CameraInfoOption = None,
) -> None:
    """Make a rosbag2 from images and positions, which `ros2 bag play` plays.

    Images go to /camera/image_raw (or /camera/image_raw/compressed); positions in metres to
    /ground_truth/pose as PoseStamped, degrees to /ground_truth/fix as NavSatFix. Depth of the
    records goes to /camera/depth/image_raw, the camera's full pose to /ground_truth/camera_pose,
    and --camera-info to /camera/camera_info. The bag appears whole or not at all.

        progeo bag make drive/ --records drive.csv --rate 5
        progeo bag make drive/ --records drive.csv --compressed --storage mcap
    """
    from progeo_core.bags.writer import write_bag

    rows = read_records(records)
    with progress("writing the bag", len(rows)) as advance:
        summary = write_bag(
            bag_path,
            rows,
            rate_hz=rate,
            compressed=compressed,
            storage=storage.value,
            calibration=read_intrinsics(camera_info),
            advance=advance,
        )
    say_skipped(summary.skipped)
    print_fields(str(bag_path), _topics(bag_path) | {"skipped": len(summary.skipped)})


def _topics(bag_path: Path) -> dict[str, object]:
    """Return how many messages of which type each topic of a bag has."""
    from progeo_core.bags.reader import Bag

    with Bag(bag_path) as bag:
        return {
            topic: f"{info.count} × {info.type.replace('/msg/', '/')}"
            for topic, info in bag.topics.items()
        }
