"""Names with '@' fields for images with known positions."""

from __future__ import annotations

import dataclasses
import datetime
import math

from progeo_core.geo import Datum, Frame, heading_from_yaw, utm_from_wgs84, wgs84_from_enu
from progeo_core.records.cosplace_names import ImageName, format_name
from progeo_core.records.records import Records

_NS_PER_S = 1_000_000_000
# Leaves room for the numbers within the 255 bytes that a file name may have.
_LONGEST_NOTE = 60


def image_names(records: Records, datum: Datum | None = None) -> list[str]:
    """Return a name for each record that `read_image_folder` reads back as the same place.

    Degrees become UTM metres, each position in its own zone, beside latitude and longitude. Local
    metres are converted from `datum`, the point that they start from; without one they stay as
    they are and the name has no zone. The heading is degrees clockwise from north (local metres:
    from the y axis), the pano id the number of the row, the note the traverse; the time is UTC.
    Raises `DataError` for latitudes that UTM does not cover.
    """
    placed = named_positions(records, datum)
    name = _local_name if placed.frame is Frame.LOCAL else _utm_name
    return [name(placed, row) for row in range(len(placed))]


def named_positions(records: Records, datum: Datum | None = None) -> Records:
    """Return records with the positions that names have: degrees where the datum is known."""
    if records.frame is Frame.WGS84 or datum is None:
        return records
    position = wgs84_from_enu(records.position, datum)
    return dataclasses.replace(records, position=position, frame=Frame.WGS84)


def _local_name(records: Records, row: int) -> str:
    east, north, height = records.position[row].tolist()
    fields = ImageName(east_m=east, north_m=north, height_m=height)
    return format_name(_with_details(fields, records, row))


def _utm_name(records: Records, row: int) -> str:
    lat, lon, height = records.position[row].tolist()
    fields = ImageName(*utm_from_wgs84(lat, lon), lat_deg=lat, lon_deg=lon, height_m=height)
    return format_name(_with_details(fields, records, row))


def _with_details(fields: ImageName, records: Records, row: int) -> ImageName:
    yaw = float(records.yaw_rad[row])
    return fields._replace(
        pano_id=f"{row:06d}",
        heading_deg=math.nan if math.isnan(yaw) else float(heading_from_yaw(yaw)),
        timestamp=_timestamp(int(records.stamp_ns[row])),
        note=_plain(records.traverse[row]),
    )


def _timestamp(stamp_ns: int) -> str:
    """Return YYYYMMDD_hhmmss, whole seconds, or "" for an unknown stamp."""
    if stamp_ns <= 0:
        return ""
    time = datetime.datetime.fromtimestamp(stamp_ns // _NS_PER_S, datetime.timezone.utc)
    return time.strftime("%Y%m%d_%H%M%S")


def _plain(text: str) -> str:
    """Replace what a field cannot hold."""
    ascii_text = "".join(sign if sign.isascii() and sign.isalnum() else "-" for sign in text)
    return ascii_text[:_LONGEST_NOTE]
