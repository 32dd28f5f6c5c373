"""Write the places of a map for other programs: GIS (GeoJSON), globes (KML), tables (CSV)."""

from __future__ import annotations

import csv
import enum
import json
import math
import re
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import NamedTuple, TextIO
from xml.etree import ElementTree

import numpy as np

from progeo_core.atomic_file import replaced_file
from progeo_core.errors import DataError, UsageError
from progeo_core.geo import heading_from_yaw, wgs84_from_enu
from progeo_core.map.place_map import PlaceMap, PlaceTable
from progeo_core.records.csv_cells import no_formula

# Characters that XML 1.0 has no way to write.
_NOT_IN_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class ExportFormat(enum.Enum):
    """Files that `export_map` writes."""

    GEOJSON = "geojson"
    KML = "kml"
    CSV = "csv"


class _Place(NamedTuple):
    """One place as it is written; directions are NaN and stamps 0 where unknown."""

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
    the map has a datum, metres where it has none; a text that a spreadsheet would run as a formula
    starts with "./" if it is an image's path and with "'" else. Raises `DataError` where nothing
    can be written.
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
        far = table.ids[~np.isfinite(position).all(axis=1)]
        if far.size:
            raise DataError(
                f"{place_map.path}: place {far[0]} is too far from the datum to be on earth; delete"
                " it, or build the map again"
            )
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
        image = no_formula(place.image, "./")
        names = no_formula(place.camera), no_formula(place.traverse)
        stamp = place.stamp_ns or ""
        writer.writerow([place.place_id, image, *place.position, direction, stamp, *names])


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
        file.write(
            (",\n" if number else "\n") + json.dumps(feature, ensure_ascii=False, allow_nan=False)
        )
    file.write("\n]}\n")


def _write_kml(file: TextIO, place_map: PlaceMap, table: PlaceTable) -> None:
    # One element at a time: a million of them would take gigabytes.
    head = ElementTree.Element("kml", xmlns="http://www.opengis.net/kml/2.2")
    name = ElementTree.SubElement(ElementTree.SubElement(head, "Document"), "name")
    name.text = _xml_text(place_map.path.stem)
    closing = "</Document></kml>"
    whole = ElementTree.tostring(head, encoding="unicode")
    file.write(f'<?xml version="1.0" encoding="UTF-8"?>\n{whole.removesuffix(closing)}\n')
    for place in _places(place_map, table):
        file.write(ElementTree.tostring(_placemark(place), encoding="unicode") + "\n")
    file.write(f"{closing}\n")


def _placemark(place: _Place) -> ElementTree.Element:
    lat, lon, alt = place.position
    mark = ElementTree.Element("Placemark")
    ElementTree.SubElement(mark, "name").text = _xml_text(place.image or str(place.place_id))
    time = _time(place.stamp_ns)
    if time is not None:
        ElementTree.SubElement(ElementTree.SubElement(mark, "TimeStamp"), "when").text = time
    if not math.isnan(place.direction):
        icon = ElementTree.SubElement(ElementTree.SubElement(mark, "Style"), "IconStyle")
        ElementTree.SubElement(icon, "heading").text = f"{place.direction:.3f}"
    point = ElementTree.SubElement(mark, "Point")
    ElementTree.SubElement(point, "coordinates").text = f"{lon:.9f},{lat:.9f},{alt:.3f}"
    return mark


def _xml_text(text: str) -> str:
    return _NOT_IN_XML.sub("\ufffd", text)


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
