"""Write the places of a map for other programs: GIS (GeoJSON), globes (KML), tables (CSV)."""

from __future__ import annotations

import csv
import enum
import json
import math
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import NamedTuple, TextIO
from xml.sax.saxutils import escape

from progeo_core.atomic_file import replaced_file
from progeo_core.errors import DataError, UsageError
from progeo_core.geo import heading_from_yaw, wgs84_from_enu
from progeo_core.map.place_map import PlaceMap, PlaceTable


class ExportFormat(enum.Enum):
    """Name the files that `export_map` writes."""

    GEOJSON = "geojson"
    KML = "kml"
    CSV = "csv"


class _Place(NamedTuple):
    """Hold one place as it is written; directions are NaN and stamps 0 where unknown."""

    place_id: int
    image: str
    camera: str
    traverse: str
    stamp_ns: int
    position: tuple[float, float, float]
    direction: float


def export_map(place_map: PlaceMap, target: str | Path, form: ExportFormat) -> int:
    """Write all places of a map to a file that appears whole or not at all; return how many.

    GeoJSON (RFC 7946) and KML hold longitude, latitude and altitude and need a map with a datum:
    `UsageError` without one. CSV has the columns of records.csv after the place's id: degrees where
    the map has a datum, metres where it has none. Raises `DataError` where nothing can be written.
    """
    if place_map.datum is None and form is not ExportFormat.CSV:
        raise UsageError(
            f"{place_map.path}: the map has no datum, so its places are nowhere on earth; export it"
            " as csv, or build it again with --datum"
        )
    table, target = place_map.places(), Path(target)
    try:
        with (
            replaced_file(target) as unfinished,
            unfinished.open("w", encoding="utf-8", newline="") as file,
        ):
            _WRITERS[form](file, place_map, table)
    except OSError as error:
        raise DataError(f"{target}: cannot be written ({error.strerror})") from error
    return len(table.ids)


def _places(place_map: PlaceMap, table: PlaceTable) -> Iterator[_Place]:
    """Yield all places: degrees and heading where there is a datum, metres and yaw without."""
    if place_map.datum is None:
        position, direction = table.position, table.yaw_rad
    else:
        position = wgs84_from_enu(table.position, place_map.datum)
        direction = heading_from_yaw(table.yaw_rad)
    for row, place_id in enumerate(table.ids.tolist()):
        first, second, third = position[row].tolist()
        yield _Place(
            place_id=place_id,
            image=table.image[row],
            camera=table.camera[row],
            traverse=table.traverse[row],
            stamp_ns=int(table.stamp_ns[row]),
            position=(first, second, third),
            direction=float(direction[row]),
        )


def _write_csv(file: TextIO, place_map: PlaceMap, table: PlaceTable) -> None:
    local = ("x_m", "y_m", "z_m", "yaw_rad")
    degrees = ("lat_deg", "lon_deg", "alt_m", "heading_deg")
    writer = csv.writer(file)
    columns = local if place_map.datum is None else degrees
    writer.writerow(["place_id", "image", *columns, "stamp_ns", "camera", "traverse"])
    for place in _places(place_map, table):
        direction = "" if math.isnan(place.direction) else place.direction
        names = (place.stamp_ns or "", place.camera, place.traverse)
        writer.writerow([place.place_id, place.image, *place.position, direction, *names])


def _write_geojson(file: TextIO, place_map: PlaceMap, table: PlaceTable) -> None:
    file.write('{"type": "FeatureCollection", "features": [')
    for number, place in enumerate(_places(place_map, table)):
        lat, lon, alt = place.position
        feature = {
            "type": "Feature",
            "id": place.place_id,
            "geometry": {"type": "Point", "coordinates": [lon, lat, alt]},
            "properties": {
                "image": place.image,
                "camera": place.camera,
                "traverse": place.traverse,
                "time": _time(place.stamp_ns),
                "heading_deg": None if math.isnan(place.direction) else place.direction,
            },
        }
        file.write((",\n" if number else "\n") + json.dumps(feature, ensure_ascii=False))
    file.write("\n]}\n")


def _write_kml(file: TextIO, place_map: PlaceMap, table: PlaceTable) -> None:
    file.write('<?xml version="1.0" encoding="UTF-8"?>\n')
    file.write('<kml xmlns="http://www.opengis.net/kml/2.2"><Document>\n')
    file.write(f"<name>{escape(place_map.path.stem)}</name>\n")
    for place in _places(place_map, table):
        lat, lon, alt = place.position
        time = _time(place.stamp_ns)
        file.write(f"<Placemark><name>{escape(place.image or str(place.place_id))}</name>")
        if time is not None:
            file.write(f"<TimeStamp><when>{time}</when></TimeStamp>")
        if not math.isnan(place.direction):
            heading = f"<heading>{place.direction:.3f}</heading>"
            file.write(f"<Style><IconStyle>{heading}</IconStyle></Style>")
        coordinates = f"{lon:.9f},{lat:.9f},{alt:.3f}"
        file.write(f"<Point><coordinates>{coordinates}</coordinates></Point></Placemark>\n")
    file.write("</Document></kml>\n")


def _time(stamp_ns: int) -> str | None:
    """Return ISO 8601 UTC, None for an unknown stamp."""
    if not stamp_ns:
        return None
    return datetime.fromtimestamp(stamp_ns / 1e9, timezone.utc).isoformat(timespec="milliseconds")


_WRITERS: dict[ExportFormat, Callable[[TextIO, PlaceMap, PlaceTable], None]] = {
    ExportFormat.GEOJSON: _write_geojson,
    ExportFormat.KML: _write_kml,
    ExportFormat.CSV: _write_csv,
}
