"""`progeo dataset`: recordings and photos become folders to train and evaluate on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from progeo_core.commands.console import (
    print_fields,
    print_json,
    progress,
    say_problem,
    say_skipped,
    waiting,
)
from progeo_core.commands.options import JsonFlag, PoseGapOption, setting_option
from progeo_core.commands.typer_versions import CommandGroup
from progeo_core.dataset.plan import DatasetSettings
from progeo_core.geo import parse_datum
from progeo_core.poses.pose_track import MAX_POSE_GAP_S
from progeo_core.records.records import Heading

if TYPE_CHECKING:
    from progeo_core.dataset.report import DatasetReport
    from progeo_core.records.image_source import ImageSource

app = CommandGroup(no_args_is_help=True, help="Make a folder to train and evaluate on.")

_DEFAULTS = DatasetSettings()

OutOption = Annotated[
    Path,
    typer.Option("--out", metavar="DIR", help="New folder for the data set.", show_default=False),
]
DatumOption = Annotated[
    str | None,
    typer.Option(
        "--datum",
        metavar="LAT,LON[,ALT]",
        help="Degrees and metres (WGS84) of the point that local metres start from (x east,"
        " y north). Without it, file names have no UTM zone.",
    ),
]
OdometryTopicOption = Annotated[
    str | None,
    typer.Option(
        "--odom-topic",
        metavar="O",
        help="Odometry, or poses in a fixed frame, for the tables of queries: moves the sequence in"
        " `progeo evaluate`, and may drift.",
    ),
]
CellOption = Annotated[float, setting_option(DatasetSettings, "cell_m", "--cell", "M")]
ValOption = Annotated[
    float, setting_option(DatasetSettings, "val_fraction", "--val-fraction", "SHARE")
]
TestOption = Annotated[
    float, setting_option(DatasetSettings, "test_fraction", "--test-fraction", "SHARE")
]
DistanceOption = Annotated[
    float, setting_option(DatasetSettings, "min_distance_m", "--min-distance", "M")
]
SeedOption = Annotated[int, setting_option(DatasetSettings, "seed", "--seed", "N")]


@app.command("from-bag")
def from_bag(
    bags: Annotated[
        list[Path],
        typer.Argument(metavar="BAG", help="rosbag2, folder or file.", show_default=False),
    ],
    out: OutOption,
    image_topic: Annotated[
        str, typer.Option("--image-topic", metavar="T", help="Image or CompressedImage.")
    ],
    pose_topic: Annotated[
        str,
        typer.Option(
            "--pose-topic",
            metavar="P",
            help="NavSatFix, PoseStamped (also with covariance) or Odometry, interpolated to the"
            " images' stamps.",
        ),
    ],
    odom_topic: OdometryTopicOption = None,
    max_pose_gap: PoseGapOption = MAX_POSE_GAP_S,
    cell: CellOption = _DEFAULTS.cell_m,
    val_fraction: ValOption = _DEFAULTS.val_fraction,
    test_fraction: TestOption = _DEFAULTS.test_fraction,
    min_distance: DistanceOption = _DEFAULTS.min_distance_m,
    seed: SeedOption = _DEFAULTS.seed,
    datum: DatumOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Turn recordings into train/, val/ and test/ with '@' names.

    The ground is split by area: no place of val/ or test/ is seen in train/. Each bag is one
    pass. Where an area was passed more than once, its database and its queries are of different
    passes, so give all recordings of a site at once; otherwise every other image is a query. Poses
    in metres must share one frame; odometry that drifts makes wrong places.
    val/queries.csv and test/queries.csv list the queries in the order of time, drive after drive,
    for `progeo evaluate --sequence`; with --odom-topic they have the odometry that moves it.

        progeo dataset from-bag monday/ tuesday/ --image-topic /camera/image_raw \\
            --pose-topic /gps/fix --out site/
        progeo dataset from-bag drive/ --image-topic /camera/image_raw \\
            --pose-topic /odometry/filtered --datum 48.137,11.575 --cell 10 \\
            --odom-topic /odom --out site/

    JSON (also in DIR/dataset.json): schema (1), dataset, images (by folder), left_out (by reason;
    DIR/left_out.csv lists them), queries_by_pass (of val and test), positions (utm or local),
    places, classes, groups, class_settings and train_with (the flags that ask for them).
    """
    from progeo_core.bags.bag_source import source_of_bag
    from progeo_core.records.image_source import JoinedSource

    def read() -> ImageSource:
        parts = [
            source_of_bag(bag, image_topic, pose_topic, max_pose_gap, odometry_topic=odom_topic)
            for bag in bags
        ]
        return JoinedSource(tuple(parts))

    settings = DatasetSettings(cell, val_fraction, test_fraction, min_distance, seed)
    _make(read, out, settings, datum, as_json=as_json)


@app.command("from-photos")
def from_photos(
    photos: Annotated[
        Path,
        typer.Argument(
            metavar="PHOTOS",
            help="Folder of photos with EXIF GPS or '@' names, or a records.csv.",
            show_default=False,
        ),
    ],
    out: OutOption,
    heading_convention: Annotated[
        Heading,
        typer.Option(
            "--heading-convention",
            help="What the heading field of '@' names means: azimuth is degrees clockwise from"
            " north; unknown leaves it out.",
        ),
    ] = Heading.UNKNOWN,
    cell: CellOption = _DEFAULTS.cell_m,
    val_fraction: ValOption = _DEFAULTS.val_fraction,
    test_fraction: TestOption = _DEFAULTS.test_fraction,
    min_distance: DistanceOption = _DEFAULTS.min_distance_m,
    seed: SeedOption = _DEFAULTS.seed,
    datum: DatumOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Turn geotagged photos into train/, val/ and test/ with '@' names.

    The ground is split by area: no place of val/ or test/ is seen in train/. Where an area was
    visited more than once (by time, or by the traverse of a records.csv), its database and its
    queries are of different visits; otherwise every other image is a query. val/queries.csv
    and test/queries.csv list the queries in the order of time, for `progeo evaluate --sequence`.

        progeo dataset from-photos photos/ --out site/
        progeo dataset from-photos drives.csv --cell 10 --out site/

    JSON: that of `progeo dataset from-bag`.
    """
    from progeo_core.records.image_source import source_of_folder, source_of_records

    def read() -> ImageSource:
        if photos.is_file():
            return source_of_records(photos)
        return source_of_folder(photos, heading_convention)

    settings = DatasetSettings(cell, val_fraction, test_fraction, min_distance, seed)
    _make(read, out, settings, datum, as_json=as_json)


def _make(
    read: Callable[[], ImageSource],
    out: Path,
    settings: DatasetSettings,
    datum: str | None,
    *,
    as_json: bool,
) -> None:
    """Check the target, read the positions, write the images and print the report."""
    from progeo_core.dataset.writer import check_target, write_dataset

    origin = None if datum is None else parse_datum(datum)
    check_target(out)
    with waiting("reading positions"):
        source = read()
    with progress("writing images", len(source.records)) as advance:
        report = write_dataset(out, source, settings, datum=origin, advance=advance)
    say_skipped(report.skipped)
    if not report.classes.classes:
        say_problem("warning", f"{out}: too few images for classes; nothing can be trained")
    if as_json:
        print_json(report.to_json())
    else:
        _print(report)


def _print(report: DatasetReport) -> None:
    classes = report.classes
    size = f"{classes.settings.M:g} m, {classes.settings.alpha:g}°"
    fields: dict[str, object] = dict(report.images)
    for folder, by_pass in report.by_pass.items():
        fields[f"queries of {folder}"] = "other passes" if by_pass else "every other image"
    fields |= {f"left out: {why}": count for why, count in report.left_out.items()}
    fields |= {
        "positions": "UTM" if report.positions == "utm" else "local metres, no zone",
        "places": classes.places,
        "classes": f"{classes.classes} of {size}, {classes.settings.min_images_per_class} images"
        " or more",
        "groups": classes.groups,
        "train with": classes.flags() or "the defaults",
    }
    print_fields(str(report.folder), fields)
