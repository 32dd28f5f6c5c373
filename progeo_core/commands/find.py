"""`progeo find`: places of a map that look like words."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from progeo_core.commands.console import print_json, tables, waiting
from progeo_core.commands.options import JsonFlag, MapArgument, MapModelOption
from progeo_core.errors import DataError
from progeo_core.map.sqlite_file import require_file

if TYPE_CHECKING:
    from progeo_core.localization.find_places import FoundPlaces
    from progeo_core.map.place_map import PlaceMap


def find(
    map_path: MapArgument,
    words: Annotated[
        str, typer.Argument(metavar="WORDS", help="What to look for, in English, in quotes.")
    ],
    count: Annotated[
        int, typer.Option("--count", metavar="N", help="Places to show at most.", min=1, max=1000)
    ] = 5,
    pictures: Annotated[
        Path | None,
        typer.Option(
            "--pictures",
            metavar="DIR",
            help="Folder for the pictures of the places, 1.jpg the best; others there of these"
            " names are replaced.",
        ),
    ] = None,
    model: MapModelOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Find places of a map that look like words, or say that there seems to be none.

    For maps of CLIP models whose descriptors were trained with texts, and that have their text side
    at hand: ViTs (CLIP-ViT-B-16:openai), and the authors' networks, imported with --with-text.
    score: cosine of the place with the words. chance: how probable such a place is where nothing in
    the map is what the words say, by 59 texts about things that are in no such map; up to 0.05 it
    counts as found. How well this works with real weights has not been measured.

        progeo find yard.progeo "loading dock with a yellow gate"
        progeo find yard.progeo "fire extinguisher" --pictures found/

    JSON: schema (1), map, words, here, texts (compared with), places (best first: place_id, score,
    chance, x_m, y_m, z_m, yaw_rad or null, image, picture or null).
    """
    require_file(map_path)
    from progeo_core.localization.find_places import WordFinder, found_document
    from progeo_core.map.place_map import PlaceMap

    with PlaceMap.open(map_path) as place_map:
        with waiting("loading the text side"):
            from progeo_core.inference.map_model import model_of_map
            from progeo_core.model.word_encoder import load_word_encoder

            finder = WordFinder(load_word_encoder(model or model_of_map(place_map)))
        with waiting("comparing places"):
            found = finder.find(place_map, words, count)
        files = _write_pictures(place_map, found, pictures)
    if as_json:
        print_json(found_document(found, map_path, words, files))
    else:
        _print(found, words, files)


def _write_pictures(
    place_map: PlaceMap, found: FoundPlaces, folder: Path | None
) -> list[Path | None]:
    """Write the thumbnails that there are, by rank; return the file of each place."""
    if folder is None:
        return [None] * len(found.places)
    files: list[Path | None] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for rank, place in enumerate(found.places, 1):
            jpeg = place_map.thumbnail(place.place_id)
            files.append(None if jpeg is None else folder / f"{rank}.jpg")
            if jpeg is not None:
                (folder / f"{rank}.jpg").write_bytes(jpeg)
    except OSError as error:
        raise DataError(f"{folder}: pictures cannot be written ({error.strerror})") from error
    return files


def _print(found: FoundPlaces, words: str, files: list[Path | None]) -> None:
    if not found.here:
        tables().print(
            f"Nothing in the map stands out as '{words}'; the most similar places:",
            markup=False,
            highlight=False,
        )
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("place", "score", "chance", "x (m)", "y (m)"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("image", overflow="fold")
    for place, picture in zip(found.places, files, strict=True):
        x_m, y_m, _ = place.position
        numbers = f"{place.score:.3f}", f"{place.chance:.2f}", f"{x_m:.2f}", f"{y_m:.2f}"
        shown = place.image if picture is None else f"{place.image} ({picture})"
        table.add_row(str(place.place_id), *numbers, shown)
    tables().print(table, markup=False, highlight=False)
