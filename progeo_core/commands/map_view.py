"""`progeo map view`: a map as one page to look at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from progeo_core.commands.console import print_fields, progress, waiting
from progeo_core.commands.options import MapArgument, MapModelOption

if TYPE_CHECKING:
    from progeo_core.localization.find_places import FoundPlaces
    from progeo_core.map.place_map import PlaceMap

# Places that the page lists for the same words at most.
_FOUND = 20


def view(
    map_path: MapArgument,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FILE",
            help="Page to write; one that `progeo map view` wrote before is replaced. Default: the"
            " map's name with .html, beside the map.",
        ),
    ] = None,
    tiles: Annotated[
        str | None,
        typer.Option(
            "--tiles",
            metavar="URL",
            help="Address of street tiles to show below the places, with {z}, {x} and {y}. The page"
            " then requests them from that server, whose terms apply; the map needs a datum."
            " Default: none, and the page requests nothing.",
        ),
    ] = None,
    find: Annotated[
        list[str] | None,
        typer.Option(
            "--find",
            metavar="WORDS",
            help="Words to look for, as `progeo find` does; give it again for more. The page lists"
            " the places of each. Default: none.",
        ),
    ] = None,
    model: MapModelOption = None,
) -> None:
    """Write a map as one page that a browser opens offline.

    Places on a plan to zoom and move, coloured by pass, time of day, camera, height or 3-D points,
    with their pictures; places that look similar though they are far apart, where one image leaves
    a robot unsure; and gaps in coverage.

        progeo map view office.progeo
        progeo map view yard.progeo --out yard.html \\
            --tiles https://tile.openstreetmap.org/{z}/{x}/{y}.png
        progeo map view yard.progeo --find "loading dock" --find "yellow gate"
    """
    from progeo_core.evaluation.map_view.map_page import check_page, write_map_page
    from progeo_core.map.place_map import PlaceMap

    path = map_path.with_suffix(".html") if out is None else out
    with PlaceMap.open(map_path) as place_map:
        check_page(place_map, path, tiles)
        found = _found(place_map, find, model) if find else {}
        with progress("looking at places", 2 * len(place_map)) as advance:
            report = write_map_page(place_map, path, tiles, advance, found)
    fields = {
        "page": f"{path}, {report.page_bytes / 1e6:.1f} MB: open it in a browser",
        "places": f"{report.places}, {report.pictures} of them with a picture",
        "look-alikes": f"{report.look_alikes} pairs",
        "gaps": str(report.gaps),
    }
    print_fields(str(map_path), fields)


def _found(place_map: PlaceMap, find: Sequence[str], model: str | None) -> dict[str, FoundPlaces]:
    """Return the places that look like each of some words."""
    from progeo_core.inference.map_model import model_of_map
    from progeo_core.localization.find_places import WordFinder
    from progeo_core.model.word_encoder import load_word_encoder

    with waiting("looking for words"):
        finder = WordFinder(load_word_encoder(model or model_of_map(place_map)))
        return {words: finder.find(place_map, words, _FOUND) for words in find}
