"""`progeo map info`: what a map holds."""

from __future__ import annotations

from typing import Annotated

import typer

from progeo_core.commands.console import (
    print_fields,
    print_json,
    waiting,
)
from progeo_core.commands.options import (
    JsonFlag,
    MapArgument,
)

_CheckFlag = Annotated[
    bool,
    typer.Option("--check", help="Read the whole file and fail unless all of it is undamaged."),
]


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
        checked = {"checked": "all of it is as it was written"} if check else {}
        print_fields(str(map_path), summary.to_lines() | checked)
