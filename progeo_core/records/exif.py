"""Position, heading and time of a photo from its EXIF tags."""

from __future__ import annotations

import datetime
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import PIL.ExifTags

from progeo_core.errors import ImageError
from progeo_core.geo import is_fix, known_altitude
from progeo_core.images.pillow_decoder import open_header
from progeo_core.records.stamps import UNKNOWN, stamp_from_time

_GPS = PIL.ExifTags.GPS
_TAG = PIL.ExifTags.Base
_POSITION = (_GPS.GPSLatitudeRef, _GPS.GPSLatitude, _GPS.GPSLongitudeRef, _GPS.GPSLongitude)
_VOID = "V"  # the receiver had no fix


class PhotoTags(NamedTuple):
    """Place and time at which a photo was taken; unknown is NaN, or stamp 0.

    The heading is in degrees clockwise from true north. position_problem: why there is no position.
    """

    lat_deg: float
    lon_deg: float
    alt_m: float
    heading_deg: float
    stamp_ns: int
    position_problem: str = ""


def read_photo_tags(path: Path) -> PhotoTags:
    """Read the EXIF tags of one photo.

    A position without a fix (GPSStatus V, or 0, 0) and a magnetic heading count as unknown. A time
    without its offset is taken as UTC. Raises `ImageError` naming a file that is not an image.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise ImageError(f"{path}: the image cannot be read ({error.strerror})") from error
    with file, open_header(file, str(path)) as photo:
        # Tags of damaged files raise anything.
        try:
            exif = photo.getexif()
            gps = exif.get_ifd(PIL.ExifTags.IFD.GPSInfo)
            details = exif.get_ifd(PIL.ExifTags.IFD.Exif)
        except Exception as error:
            raise ImageError(f"{path}: its EXIF tags cannot be read ({error})") from error
    lat_deg = _angle(gps, _GPS.GPSLatitude, _GPS.GPSLatitudeRef, {"N": 1.0, "S": -1.0})
    lon_deg = _angle(gps, _GPS.GPSLongitude, _GPS.GPSLongitudeRef, {"E": 1.0, "W": -1.0})
    problem = _position_problem(gps, lat_deg, lon_deg)
    if problem:
        lat_deg = lon_deg = math.nan
    true_north = _text(gps.get(_GPS.GPSImgDirectionRef)) == "T"
    return PhotoTags(
        lat_deg=lat_deg,
        lon_deg=lon_deg,
        alt_m=known_altitude(_altitude(gps)),
        heading_deg=_number(gps.get(_GPS.GPSImgDirection)) if true_north else math.nan,
        stamp_ns=_stamp(details),
        position_problem=problem,
    )


def _position_problem(gps: Mapping[int, Any], lat_deg: float, lon_deg: float) -> str:
    """Return why the tags tell no position, "" where they do."""
    missing = [tag.name for tag in _POSITION if gps.get(tag) in (None, "")]
    if len(missing) == len(_POSITION):
        return "no GPS position in its EXIF tags"
    if missing:
        return f"no GPS position in its EXIF tags: {' and '.join(missing)} missing"
    if _text(gps.get(_GPS.GPSStatus)).upper() == _VOID:
        return "no GPS position in its EXIF tags: the receiver had no fix (GPSStatus V)"
    if not is_fix(lat_deg, lon_deg):
        given = ", ".join(_text(gps[tag]) or str(gps[tag]) for tag in _POSITION)
        return f"no GPS position in its EXIF tags: {given} is no place"
    return ""


def _angle(gps: Mapping[int, Any], tag: int, ref: int, signs: Mapping[str, float]) -> float:
    """Return signed degrees of (degrees, minutes, seconds); NaN without its hemisphere."""
    sign = signs.get(_text(gps.get(ref)).upper(), math.nan)
    parts = gps.get(tag)
    if not isinstance(parts, tuple) or len(parts) != 3:
        return math.nan
    degrees, minutes, seconds = (_number(part) for part in parts)
    return sign * (degrees + minutes / 60.0 + seconds / 3600.0)


def _altitude(gps: Mapping[int, Any]) -> float:
    below_sea = gps.get(_GPS.GPSAltitudeRef) in (1, b"\x01")
    return _number(gps.get(_GPS.GPSAltitude)) * (-1.0 if below_sea else 1.0)


def _stamp(details: Mapping[int, Any]) -> int:
    """Return nanoseconds since 1970 of the time of exposure, 0 where there is none."""
    text = _text(details.get(_TAG.DateTimeOriginal))
    offset = _text(details.get(_TAG.OffsetTimeOriginal)) or "+00:00"
    try:
        time = datetime.datetime.strptime(f"{text} {offset}", "%Y:%m:%d %H:%M:%S %z")
    except ValueError:
        return 0
    fraction = _text(details.get(_TAG.SubsecTimeOriginal))
    # Also true of superscripts and other scripts: isdigit() alone.
    nanoseconds = int(f"{fraction:0<9.9}") if fraction.isascii() and fraction.isdigit() else 0
    stamp_ns = stamp_from_time(time)
    return stamp_ns + nanoseconds if stamp_ns else UNKNOWN


def _number(value: Any) -> float:
    """Return a rational as a number; cameras without a fix write nothing or 0/0."""
    try:
        return float(value)
    except (TypeError, ValueError, ArithmeticError):
        return math.nan


def _text(value: Any) -> str:
    return value.strip("\0 ") if isinstance(value, str) else ""
