"""`progeo fleet info`, `compact`, `prune` and `export`: what looks after a fleet's store."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from progeo_core.commands.console import print_fields, print_json, progress, waiting
from progeo_core.commands.fleet_share import StoreArgument
from progeo_core.commands.map_care import (
    PRUNE,
    DistanceOption,
    PlacesPerCellOption,
    SimilarityOption,
)
from progeo_core.commands.options import ForceFlag, JsonFlag, check_new
from progeo_core.map.export import ExportFormat
from progeo_core.map.prune import PruneSettings

if TYPE_CHECKING:
    from progeo_core.descriptors.fingerprint import ModelFingerprint
    from progeo_core.fleet.store import FleetInfo, FleetStore


def info(uri: StoreArgument, as_json: JsonFlag = False) -> None:
    """Show what the fleet's store holds: places, sessions of robots, cameras and model.

        progeo fleet info s3://fleet/places
        progeo fleet info /mnt/fleet --json

    JSON: schema (1), store, version, places, dropped (by prune), indexed (places that the index of
    descriptors covers), bytes, cameras (calibrations), model,
    sessions: robot, name, datum (lat_deg, lon_deg, alt_m), extractor and source (what made local
    features and 3-D points, or null).
    """
    store = _opened(uri)
    found = store.info()
    if as_json:
        print_json({"schema": 1, "store": uri, **_document(store.fingerprint, found)})
        return
    robots = len({session.robot for session in found.sessions})
    print_fields(
        uri,
        {
            "places": found.places,
            "dropped": found.dropped,
            "indexed": found.indexed,
            "megabytes": f"{found.size_bytes / 1e6:.1f}",
            "sessions": f"{len(found.sessions)} of {robots} robot{'' if robots == 1 else 's'}",
            "cameras": found.cameras,
            "version": found.version,
            "model": store.fingerprint,
        },
    )


def _document(model: ModelFingerprint, found: FleetInfo) -> dict[str, Any]:
    return {
        "version": found.version,
        "places": found.places,
        "dropped": found.dropped,
        "indexed": found.indexed,
        "bytes": found.size_bytes,
        "cameras": found.cameras,
        "model": dataclasses.asdict(model),
        "sessions": [
            {
                "robot": session.robot,
                "name": session.name,
                "datum": session.datum._asdict(),
                "extractor": session.structure and session.structure.extractor,
                "source": session.structure and session.structure.source,
            }
            for session in found.sessions
        ],
    }


def compact(uri: StoreArgument) -> None:
    """Join small files, bring the indexes up to date, and remove versions older than a day.

    Robots may push and pull meanwhile. Run it after many pushes, once a day in a large fleet.

        progeo fleet compact s3://fleet/places
    """
    store = _opened(uri)
    with waiting("compacting the store"):
        store.compact()
    found = store.info()
    print_fields(uri, {"places": found.places, "indexed": found.indexed, "version": found.version})


def prune(
    uri: StoreArgument,
    distance: DistanceOption = PRUNE.distance_m,
    similarity: SimilarityOption = PRUNE.similarity,
    places_per_cell: PlacesPerCellOption = PRUNE.places_per_cell,
) -> None:
    """Drop places that tell nothing new, by the rule of `progeo map prune`.

    A place goes when a newer one of a camera of that name is near and looks similar, whichever
    robot saw it. Pushing its map again does not bring it back.

        progeo fleet prune s3://fleet/places --distance 0.5 --similarity 0.8
    """
    from progeo_core.fleet.prune import prune_fleet

    settings = PruneSettings(distance, similarity, places_per_cell)
    store = _opened(uri)
    with progress("comparing places", store.info().places) as advance:
        report = prune_fleet(store, settings, advance=advance)
    print_fields(uri, report.to_lines())


def export(
    uri: StoreArgument,
    target: Annotated[
        Path, typer.Option("--out", metavar="FILE", help="File to write.", show_default=False)
    ],
    form: Annotated[
        ExportFormat,
        typer.Option(
            "--format", help="geojson for GIS, kml for globes, csv for tables.", show_default=False
        ),
    ],
    force: ForceFlag = False,
) -> None:
    """Write the places of the whole fleet for other programs, as `progeo map export` does.

    Traverses are named after robot and session.

        progeo fleet export s3://fleet/places --format geojson --out fleet.geojson
    """
    check_new(target, force)
    from progeo_core.fleet.pull import export_region

    store = _opened(uri)
    with progress("reading places", store.info().places) as advance:
        places = export_region(store, None, target, form, advance=advance)
    print(f"{target}: {places} places")


def _opened(uri: str) -> FleetStore:
    from progeo_core.fleet.lance_store import open_fleet

    with waiting("opening the store"):
        return open_fleet(uri)
