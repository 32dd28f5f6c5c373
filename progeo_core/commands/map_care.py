"""`progeo map merge`, `prune`, `calibrate` and `export`: what looks after maps."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from progeo_core.bags.recognition import BagTopics, Role, recognize, source_of_path
from progeo_core.commands.console import (
    print_fields,
    progress,
    say_skipped,
    waiting,
)
from progeo_core.commands.map_images import (
    ImageTopicOption,
    PoseTopicOption,
)
from progeo_core.commands.options import (
    MODEL,
    DeviceOption,
    ForceFlag,
    MapArgument,
    MapModelOption,
    ModelChoice,
    RuntimeOption,
    TrustFlag,
    check_new,
    setting_option,
)
from progeo_core.map.export import ExportFormat
from progeo_core.map.prune import PruneSettings
from progeo_core.map.sqlite_file import require_file

if TYPE_CHECKING:
    from progeo_core.evaluation.calibrate_map import CalibrationReport

PRUNE = PruneSettings()
DistanceOption = Annotated[float, setting_option(PruneSettings, "distance_m", "--distance", "M")]
SimilarityOption = Annotated[
    float, setting_option(PruneSettings, "similarity", "--similarity", "S")
]
PlacesPerCellOption = Annotated[
    int, setting_option(PruneSettings, "places_per_cell", "--places-per-cell", "N")
]


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
    from progeo_core.map.summary import datum_line

    total = 0
    for source in sources:
        with PlaceMap.open(source) as place_map:
            total += len(place_map)
    with progress("joining maps", total) as advance:
        report = merge_maps(sources, target, advance=advance)
    print_fields(str(target), {"places": report.places, "datum": datum_line(report.datum)})


def prune(
    map_path: MapArgument,
    distance: DistanceOption = PRUNE.distance_m,
    similarity: SimilarityOption = PRUNE.similarity,
    places_per_cell: PlacesPerCellOption = PRUNE.places_per_cell,
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
    print_fields(str(map_path), report.to_lines())


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
            run_by = ModelChoice(model, device, runtime, trust_code)
            encoder = run_by.load(place_map)
        with progress("localizing", len(records)) as advance:
            report = calibrate_map(
                place_map,
                records,
                encoder,
                sequence=sequence,
                extractor=run_by.extractor(),
                advance=advance,
            )
    say_skipped(report.skipped)
    print_fields(str(map_path), _fits(report))


def _fits(report: CalibrationReport) -> dict[str, object]:
    """Return what was fitted, and how well."""
    from progeo_core.evaluation.metrics import radius_text

    fields: dict[str, object] = {"answers": report.single.answers}
    fields["confidence is about being within"] = radius_text(report.radius_m)
    for run, fit in (("single image", report.single), ("sequence", report.sequence)):
        if fit is not None:
            unlike = ": nothing changed; a drive whose halves are alike tells more"
            fields[run] = (
                f"calibration error {fit.before:.3f} before, {fit.after:.3f} after, on the half"
                f" of the answers that was left out{'' if fit.is_better else unlike}"
            )
    return fields


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
    print(f"{target}: {places} places")
