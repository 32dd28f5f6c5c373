"""A map as one HTML page: its places on a plan, their pictures, look-alikes and gaps.

The page holds its data, style and script, and its policy forbids the browser to request anything,
except street tiles where these are asked for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from progeo_core.errors import UsageError, counted
from progeo_core.evaluation.map_view.coverage_gaps import Gaps, find_gaps
from progeo_core.evaluation.map_view.look_alikes import LookAlikes, find_look_alikes
from progeo_core.evaluation.map_view.pictures import Pictures, choose_pictures
from progeo_core.evaluation.self_contained import PageKind, embed_bytes
from progeo_core.geo import heading_from_yaw, wgs84_from_enu
from progeo_core.localization.find_places import FoundPlaces
from progeo_core.map.place_map import PlaceMap, PlaceTable
from progeo_core.map.summary import summarize_map
from progeo_core.progress import Advance, no_progress

_PAGE = PageKind("map view", "a map")
NOTHING_FOUND: Mapping[str, FoundPlaces] = {}
# Facts of `progeo map info` that the page shows.
_FACTS = ("extent", "datum", "recorded", "model", "3-D points")


class PageReport(NamedTuple):
    """What a page shows: numbers of places, pictures, pairs of look-alikes and gaps; its size."""

    places: int
    pictures: int
    look_alikes: int
    gaps: int
    page_bytes: int


def check_page(place_map: PlaceMap, path: Path, tiles: str | None) -> None:
    """Raise `UsageError` where a page cannot be made, before any slow work is done.

    That is: the map has no places, another file would be replaced, or tiles have no datum or are no
    template of addresses.
    """
    if not len(place_map):
        raise UsageError(f"{place_map.path}: the map holds no places; build it first")
    _PAGE.check(path)
    if tiles is None:
        return
    if not re.match(r"https?://[^/\s;,'\"]+/", tiles) or not all(
        part in tiles for part in ("{z}", "{x}", "{y}")
    ):
        raise UsageError(
            f"tiles '{tiles}': give their address as https://HOST/{{z}}/{{x}}/{{y}}.png"
        )
    if place_map.datum is None:
        raise UsageError(
            f"{place_map.path}: the map has no datum, so no street lies below it; leave out the"
            " tiles, or build the map again with --datum"
        )


def write_map_page(
    place_map: PlaceMap,
    path: Path,
    tiles: str | None = None,
    advance: Advance = no_progress,
    found: Mapping[str, FoundPlaces] = NOTHING_FOUND,
) -> PageReport:
    """Write the page of a map to a file that appears whole or not at all.

    tiles: address of street tiles with {z}, {x} and {y}, which the page then requests; None for a
    page that requests nothing. advance: two steps for every place. found: what was found by words,
    which the page offers, as it cannot search by itself. Raises as `check_page` does, and
    `DataError` where the file cannot be written.
    """
    check_page(place_map, path, tiles)
    places = place_map.places()
    look_alikes = find_look_alikes(place_map, places.poses, advance)
    gaps = find_gaps(places)
    by_words = [_found_by(words, one, places) for words, one in found.items()]
    wanted = {*look_alikes.pairs.ravel().tolist(), *gaps.ends.ravel().tolist()}
    wanted.update(row for one in by_words for row in one["rows"])
    pictures = choose_pictures(place_map, places.ids, wanted, advance)
    data = {
        "name": place_map.path.stem,
        "facts": _facts(place_map),
        "datum": None if place_map.datum is None else place_map.datum._asdict(),
        "tiles": tiles,
        **_names_of(places),
        "columns": _columns(place_map, places, look_alikes, pictures),
        **_findings(places, look_alikes, gaps),
        "found": by_words,
        "pictures": [embed_bytes(file) for file in pictures.files],
        "picture_rows": pictures.rows.tolist(),
    }
    title = f"{place_map.path.stem}: map of {counted(len(places.ids), 'place')}"
    origin = "" if tiles is None else "{0.scheme}://{0.netloc}".format(urlsplit(tiles))
    page = _PAGE.fill("progeo_core.evaluation.map_view", "map_page", title, data, origin)
    page_bytes = _PAGE.write(path, page)
    counts = len(pictures.files), len(look_alikes.pairs), len(gaps.ends)
    return PageReport(len(places.ids), *counts, page_bytes)


def _facts(place_map: PlaceMap) -> list[tuple[str, str]]:
    lines = summarize_map(place_map).to_lines()
    return [(name, lines[name]) for name in _FACTS]


def _names_of(places: PlaceTable) -> dict[str, list[str]]:
    return {
        "images": list(places.image),
        "cameras": list(dict.fromkeys(places.camera)),
        "passes": list(dict.fromkeys(places.traverse)),
    }


def _columns(
    place_map: PlaceMap, places: PlaceTable, look_alikes: LookAlikes, pictures: Pictures
) -> dict[str, str]:
    """Return the columns of all places as little-endian bytes in base64, by their names."""
    # From the middle, as float32 would round a position far from the datum.
    local = places.position - places.position.mean(axis=0)
    columns: dict[str, NDArray[Any]] = {
        "id": places.ids.astype("<f8"),
        **{name: local[:, axis].astype("<f4") for axis, name in enumerate("xyz")},
        **{name: places.position[:, axis].astype("<f8") for axis, name in enumerate(_METRES)},
        "heading": heading_from_yaw(places.yaw_rad).astype("<f4"),
        "time": np.where(places.stamp_ns > 0, places.stamp_ns * 1e-9, np.nan).astype("<f8"),
        "camera": _numbers_of(places.camera),
        "pass": _numbers_of(places.traverse),
        "landmarks": _landmarks(place_map, places).astype("<i4"),
        "similarity": look_alikes.similarity.astype("<f4"),
        "other": look_alikes.other.astype("<i4"),
        "picture": pictures.nearest_in_order(len(places.ids)).astype("<i4"),
    }
    if place_map.datum is not None:
        lat, lon, _ = wgs84_from_enu(places.position, place_map.datum).T
        columns |= {"lat": lat.astype("<f8"), "lon": lon.astype("<f8")}
    return {name: embed_bytes(one.tobytes()) for name, one in columns.items()}


_METRES = ("east", "north", "up")


def _numbers_of(names: Sequence[str]) -> NDArray[Any]:
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
    return np.array([numbers[name] for name in names], "<i4")


def _landmarks(place_map: PlaceMap, places: PlaceTable) -> NDArray[np.int64]:
    """Return how many 3-D points each place [n] has."""
    table = place_map.view_table()
    found = np.zeros(len(places.ids), np.int64)
    rows = places.poses.rows_of(table.ids)
    found[rows] = table.landmarks
    return found


def _found_by(words: str, found: FoundPlaces, places: PlaceTable) -> dict[str, Any]:
    ids = np.array([place.place_id for place in found.places], np.int64)
    return {
        "words": words,
        "here": found.here,
        "rows": places.poses.rows_of(ids).tolist(),
        "scores": [round(place.score, 4) for place in found.places],
    }


def _findings(places: PlaceTable, look_alikes: LookAlikes, gaps: Gaps) -> dict[str, Any]:
    pairs = look_alikes.pairs
    apart = places.position[pairs[:, 0]] - places.position[pairs[:, 1]]
    return {
        "far_m": round(look_alikes.distance_m, 3),
        "usual": look_alikes.usual,
        "compared": look_alikes.compared,
        "pairs": pairs.tolist(),
        "pair_m": np.linalg.norm(apart, axis=1).round(2).tolist(),
        "gaps": gaps.ends.tolist(),
        "gap_m": gaps.length_m.round(2).tolist(),
    }
