"""`progeo map`: build or extend a map, look at it, look after it."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from progeo_core.bags.recognition import TF_FRAMES, BagTopics, Role, recognize, source_of_path
from progeo_core.commands.console import (
    print_fields,
    print_json,
    progress,
    results,
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
    structure,
)
from progeo_core.commands.map_view import view
from progeo_core.commands.options import (
    MODEL,
    CameraInfoOption,
    DeviceOption,
    ForceFlag,
    JsonFlag,
    MapArgument,
    MapModelOption,
    ModelChoice,
    ModelOption,
    PoseGapOption,
    RuntimeOption,
    TrustFlag,
    check_new,
    setting_option,
)
from progeo_core.commands.typer_versions import CommandGroup
from progeo_core.geo import Datum, parse_datum
from progeo_core.map.export import ExportFormat
from progeo_core.map.place_features import PLACE_FEATURES
from progeo_core.map.prune import PruneSettings
from progeo_core.map.sqlite_file import require_file
from progeo_core.poses.pose_track import MAX_POSE_GAP_S
from progeo_core.records.records import Heading

if TYPE_CHECKING:
    from progeo_core.map.build import MapReport

_PRUNE = PruneSettings()

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
_CheckFlag = Annotated[
    bool,
    typer.Option("--check", help="Read the whole file and fail unless all of it is undamaged."),
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
_AppendFlag = Annotated[
    bool,
    typer.Option(
        "--append",
        help="Add to a map that exists. Images that it has already are left alone, so this"
        " also continues an interrupted build.",
    ),
]

app = CommandGroup(no_args_is_help=True, help="Build a map, look at it, look after it.")


@app.command()
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
    model: ModelOption = MODEL.model,
    device: DeviceOption = MODEL.device,
    runtime: RuntimeOption = MODEL.runtime,
    trust_code: TrustFlag = MODEL.trust_code,
) -> None:
    """Build a map from images with known positions, or extend one.

    Positions come from a table, names, GPS tags or a bag. An interruption loses no place.

        progeo map build city.progeo photos/
        progeo map build yard.progeo --bag drive/ --image-topic /camera/image_raw \\
            --pose-topic /odometry/filtered --datum 48.137,11.575
        progeo map build lab.progeo --records lab.csv --camera-info camera.yaml
        progeo map build city.progeo photos/ --model megaloc --trust-code --dimension 512

    Local features are kept, too; with the camera's calibration and orientation, with 3-D points.
    """
    from progeo_core.inference.loading import load_encoder
    from progeo_core.map.build import build_map, check_target

    check_target(map_path, append)
    parsed = None if datum is None else parse_datum(datum)
    topics = BagTopics(image_topic, pose_topic, depth_topic, camera_poses, max_pose_gap, tf_frames)
    named = source_path, records, images, bag
    source = named_source(*named, topics, heading_convention, camera_info)
    with waiting("loading the model"):
        encoder = load_encoder(model, device, runtime, trust_code=trust_code)
        finder = feature_finder(features, device) if features else None
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
    found = finish_structure(map_path, finder, report.added)
    print_fields(str(map_path), _counts(report) | found)


app.command()(structure)
app.command()(view)


@app.command()
def info(map_path: MapArgument, check: _CheckFlag = False, as_json: JsonFlag = False) -> None:
    """Show what a map holds: places, extent, cameras, traverses, datum and model.

    Places are compared with their checksums as they are read; --check does so with descriptors,
    thumbnails, local features and 3-D points, too, and sees every flipped bit.

        progeo map info office.progeo
        progeo map info office.progeo --check --json

    JSON: schema (1), map, places, places_with_yaw, datum (lat_deg, lon_deg, alt_m, or null),
    extent_m (min and max of x, y, z, or null), cameras and
    traverses (name to number of places), stamps_ns (first and last, or null), model, shortened_to
    (values that the map keeps of a descriptor, or null), bytes,
    views: places (with local features), with_landmarks (with 3-D points), bytes_per_place,
    calibrations, extractor and source (what made the features and the points, or null).
    """
    from progeo_core.map.place_map import PlaceMap
    from progeo_core.map.summary import summarize_map

    with PlaceMap.open(map_path) as place_map:
        if check:
            with waiting("checking the file"):
                place_map.verify()
        summary = summarize_map(place_map)
    if as_json:
        print_json(summary.to_json())
    else:
        print_fields(str(map_path), summary.to_lines())


@app.command()
def merge(
    sources: Annotated[
        list[Path], typer.Argument(metavar="MAP", help="Maps to join.", show_default=False)
    ],
    target: Annotated[
        Path, typer.Option("--out", metavar="MAP", help="New map file.", show_default=False)
    ],
) -> None:
    """Join maps of one model into a new one; the sources stay as they are.

    Metres of the new map start from the first map's datum; places of the others are moved there,
    with their 3-D points. Purely local maps are joined as they are, so they must share one frame.
    Maps with local features of different extractors are refused.

        progeo map merge monday.progeo tuesday.progeo --out site.progeo
    """
    from progeo_core.map.merge import merge_maps
    from progeo_core.map.place_map import PlaceMap

    total = 0
    for source in sources:
        with PlaceMap.open(source) as place_map:
            total += len(place_map)
    with progress("joining maps", total) as advance:
        report = merge_maps(sources, target, advance=advance)
    print_fields(str(target), {"places": report.places, "datum": _readable(report.datum)})


@app.command()
def prune(
    map_path: MapArgument,
    distance: Annotated[
        float, setting_option(PruneSettings, "distance_m", "--distance", "M")
    ] = _PRUNE.distance_m,
    similarity: Annotated[
        float, setting_option(PruneSettings, "similarity", "--similarity", "S")
    ] = _PRUNE.similarity,
    places_per_cell: Annotated[
        int, setting_option(PruneSettings, "places_per_cell", "--places-per-cell", "N")
    ] = _PRUNE.places_per_cell,
) -> None:
    """Drop places that tell nothing new, in place and in one transaction.

    A place goes when a newer one of the same camera is near and looks similar; what looks different
    there (light, season, direction) stays. Copy the file first to be able to go back.

        progeo map prune office.progeo --distance 0.5 --similarity 0.8
    """
    from progeo_core.map.place_index import PlaceIndex
    from progeo_core.map.place_map import PlaceMap
    from progeo_core.map.prune import prune_map

    settings = PruneSettings(distance, similarity, places_per_cell)
    with PlaceMap.open(map_path, writable=True) as place_map:
        with progress("comparing places", len(place_map)) as advance:
            report = prune_map(place_map, settings, advance=advance)
        PlaceIndex.open(place_map)
    print_fields(
        str(map_path),
        {
            "places before": report.before,
            "redundant": report.redundant,
            "over the bound": report.over_bound,
            "places left": report.after,
        },
    )


@app.command()
def calibrate(
    map_path: MapArgument,
    queries: Annotated[
        Path,
        typer.Option(
            "--queries",
            metavar="IMAGES",
            help="Images with positions that are not in the map: a table (CSV), a folder or a bag.",
            show_default=False,
        ),
    ],
    image_topic: ImageTopicOption = None,
    pose_topic: PoseTopicOption = None,
    sequence: Annotated[
        bool,
        typer.Option(
            "--sequence",
            help="The queries are one traverse in order: fit the place filter's answers, too.",
        ),
    ] = False,
    model: MapModelOption = None,
    device: DeviceOption = MODEL.device,
    runtime: RuntimeOption = MODEL.runtime,
    trust_code: TrustFlag = MODEL.trust_code,
) -> None:
    """Fit the confidence to images whose positions are known, and save that in the map.

    Afterwards nine of ten answers with confidence 0.9 are right on images like these. Use another
    traverse than the map's own; some that leave the map teach what its absence looks like.

        progeo map calibrate office.progeo --queries lap2.csv --sequence
        progeo map calibrate yard.progeo --queries second_drive/ --sequence
    """
    require_file(map_path)
    recognize(queries)
    from progeo_core.evaluation.calibrate_map import calibrate_map
    from progeo_core.map.place_map import PlaceMap
    from progeo_core.records.image_source import records_in_files

    with (
        PlaceMap.open(map_path, writable=True) as place_map,
        tempfile.TemporaryDirectory(prefix="progeo-queries-") as folder,
    ):
        source = source_of_path(queries, Role.QUERIES, BagTopics(image_topic, pose_topic))
        with waiting("loading the model"):
            records = records_in_files(source, Path(folder))
            encoder = ModelChoice(model, device, runtime, trust_code).load(place_map)
        with progress("localizing", len(records)) as advance:
            report = calibrate_map(place_map, records, encoder, sequence=sequence, advance=advance)
    say_skipped(report.skipped)
    fields: dict[str, object] = {"answers": report.single.answers}
    fields["confidence is about being within"] = f"{report.radius_m:g} m"
    for run, fit in (("single image", report.single), ("sequence", report.sequence)):
        if fit is not None:
            fields[run] = (
                f"calibration error {fit.before:.3f} before, {fit.after:.3f} after, on the half"
                " of the answers that was left out"
            )
    print_fields(str(map_path), fields)


@app.command()
def export(
    map_path: MapArgument,
    target: Annotated[
        Path, typer.Option("--out", metavar="FILE", help="File to write.", show_default=False)
    ],
    form: Annotated[
        ExportFormat,
        typer.Option(
            "--format",
            help="geojson for GIS, kml for globes (both need a datum), csv for tables.",
            show_default=False,
        ),
    ],
    force: ForceFlag = False,
) -> None:
    """Write the places of a map for other programs.

    CSV has the columns of records.csv after the place's id: degrees where the map has a datum,
    metres where it has none.

        progeo map export office.progeo --format geojson --out office.geojson
    """
    check_new(target, force)
    from progeo_core.map.export import export_map
    from progeo_core.map.place_map import PlaceMap

    with PlaceMap.open(map_path) as place_map:
        places = export_map(place_map, target, form)
    results.print(f"{target}: {places} places", markup=False, highlight=False, soft_wrap=True)


def _counts(report: MapReport) -> dict[str, object]:
    return {
        "added": report.added,
        "in the map already": report.known,
        "skipped": len(report.skipped),
        "places in the map": report.places,
        "datum": _readable(report.datum),
    }


def _readable(datum: Datum | None) -> str:
    if datum is None:
        return "none (metres only)"
    return f"{datum.lat_deg:.7f}, {datum.lon_deg:.7f}, {datum.alt_m:.1f} m"
