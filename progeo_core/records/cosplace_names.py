"""Image names that carry their own metadata between '@' signs, as CosPlace and ProGEO use them.

`@utm_east@utm_north@zone_number@zone_letter@lat@lon@pano_id@tile_num@heading@pitch@roll@height
@timestamp@note@.jpg`: any field may be empty, and fields at the end may be left out.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from progeo_core.errors import DataError, UsageError
from progeo_core.geo import FloatArray
from progeo_core.records.plain_number import plain_number
from progeo_core.records.stamps import UNKNOWN, stamp_from_time

_FORM = "@utm_east@utm_north@zone@letter@lat@lon@pano@tile@heading@pitch@roll@height@time@note@.jpg"
# Decimals written: millimetres, about a millimetre in degrees, hundredths of a degree.
_METRES, _DEGREES, _ANGLE = 3, 8, 2


class ImageName(NamedTuple):
    """Fields of one '@' name; unknown is NaN, zone 0 or the empty text.

    The heading is in degrees, with the meaning that the data set gives it. The timestamp is
    YYYYMMDD_hhmmss and may be cut short.
    """

    east_m: float = math.nan
    north_m: float = math.nan
    zone: int = 0
    letter: str = ""
    lat_deg: float = math.nan
    lon_deg: float = math.nan
    pano_id: str = ""
    tile: str = ""
    heading_deg: float = math.nan
    pitch_deg: float = math.nan
    roll_deg: float = math.nan
    height_m: float = math.nan
    timestamp: str = ""
    note: str = ""


class NameColumns(NamedTuple):
    """Columns of many '@' names that positions and classes need, one array [n] per field.

    Unknown is NaN, zone 0, letter "" or stamp 0, as in `ImageName`.
    """

    east_m: FloatArray
    north_m: FloatArray
    zone: NDArray[np.int8]
    letter: NDArray[np.str_]
    lat_deg: FloatArray
    lon_deg: FloatArray
    heading_deg: FloatArray
    height_m: FloatArray
    stamp_ns: NDArray[np.int64]

    def signed_zone(self) -> NDArray[np.int8]:
        """Return zones that are negative in the southern hemisphere, where metres start again."""
        south = (self.letter != "") & (self.letter < "N")
        return np.asarray(np.where(south, -self.zone, self.zone))


_ROW = np.dtype(
    [
        ("east_m", "f8"),
        ("north_m", "f8"),
        ("zone", "i1"),
        ("letter", "U1"),
        ("lat_deg", "f8"),
        ("lon_deg", "f8"),
        ("heading_deg", "f8"),
        ("height_m", "f8"),
        ("stamp_ns", "i8"),
    ]
)


def is_image_name(name: str) -> bool:
    """Whether the last part of a path is an '@' name."""
    return name.rpartition("/")[2].startswith("@")


def read_name(name: str) -> ImageName:
    """Read the fields of one '@' name (folders before it are ignored).

    Raises `DataError` naming the field that is not what it should be.
    """
    fields = _fields(name)
    try:
        return ImageName(
            east_m=_number(fields[0]),
            north_m=_number(fields[1]),
            zone=_zone(fields[2]),
            letter=_letter(fields[3]),
            lat_deg=_number(fields[4]),
            lon_deg=_number(fields[5]),
            pano_id=fields[6],
            tile=fields[7],
            heading_deg=_number(fields[8]),
            pitch_deg=_number(fields[9]),
            roll_deg=_number(fields[10]),
            height_m=_number(fields[11]),
            timestamp=fields[12],
            note=fields[13],
        )
    except ValueError as error:
        raise DataError(f"{name}: {error}; rename the image to the form {_FORM}") from None


def format_name(fields: ImageName, suffix: str = ".jpg") -> str:
    """Write an '@' name that `read_name` gives back, numbers rounded to about a millimetre.

    Raises `UsageError` for a text field with '@' or '/' in it.
    """
    texts = (fields.letter, fields.pano_id, fields.tile, fields.timestamp, fields.note)
    for text in texts:
        if "@" in text or "/" in text:
            raise UsageError(f"'{text}': a field of an image name cannot hold '@' or '/'")
    columns = (
        _decimal(fields.east_m, _METRES),
        _decimal(fields.north_m, _METRES),
        str(fields.zone) if fields.zone else "",
        fields.letter,
        _decimal(fields.lat_deg, _DEGREES),
        _decimal(fields.lon_deg, _DEGREES),
        fields.pano_id,
        fields.tile,
        _decimal(fields.heading_deg, _ANGLE),
        _decimal(fields.pitch_deg, _ANGLE),
        _decimal(fields.roll_deg, _ANGLE),
        _decimal(fields.height_m, _METRES),
        fields.timestamp,
        fields.note,
    )
    return f"@{'@'.join(columns)}@{suffix}"


def read_names(names: Iterable[str]) -> NameColumns:
    """Read many '@' names into columns, one pass, some 100 bytes a name and no object kept.

    Raises `DataError` naming the first name that cannot be read.
    """
    rows = np.fromiter((_row(name) for name in names), _ROW)
    return NameColumns(*(np.ascontiguousarray(rows[field]) for field in NameColumns._fields))


def stamp_from_timestamp(timestamp: str) -> int:
    """Return nanoseconds of YYYYMMDD_hhmmss taken as UTC.

    Returns 0, unknown, for an empty one, one cut short before the seconds, and one that is no time.
    """
    digits = timestamp.replace("_", "")
    if len(digits) != 14 or not digits.isdigit():
        return UNKNOWN
    try:
        time = datetime.datetime.strptime(digits, "%Y%m%d%H%M%S")
    except ValueError:
        return UNKNOWN
    return stamp_from_time(time.replace(tzinfo=datetime.timezone.utc))


def _row(name: str) -> tuple[object, ...]:
    fields = read_name(name)
    return (
        fields.east_m,
        fields.north_m,
        fields.zone,
        fields.letter,
        fields.lat_deg,
        fields.lon_deg,
        fields.heading_deg,
        fields.height_m,
        stamp_from_timestamp(fields.timestamp),
    )


def _fields(name: str) -> list[str]:
    """Return the 14 fields of a name, those that are left out at the end as empty texts."""
    first, *fields = name.rpartition("/")[2].split("@")
    if first or len(fields) < 2:
        raise DataError(f"{name}: not an image name with '@' fields; the form is {_FORM}")
    # What follows the last '@' is the suffix.
    del fields[-1]
    fields += [""] * (len(ImageName._fields) - len(fields))
    return fields


def _number(field: str) -> float:
    return plain_number(field) if field else math.nan


def _zone(field: str) -> int:
    if not field:
        return 0
    if not (field.isascii() and field.isdigit() and len(field) <= 3 and int(field) <= 60):
        raise ValueError(f"UTM zone '{field}' is not 1 to 60")
    return int(field)


def _letter(field: str) -> str:
    if len(field) > 1:
        raise ValueError(f"UTM zone letter '{field}' is not one letter")
    return field


def _decimal(value: float, decimals: int) -> str:
    return "" if math.isnan(value) else f"{value:.{decimals}f}"
