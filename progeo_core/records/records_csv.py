"""The rows of a records.csv, each cell checked and refused by file, line and column."""

from __future__ import annotations

import csv
import logging
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from progeo_core.errors import DataError
from progeo_core.geo import Frame, is_fix, known_altitude
from progeo_core.poses.stamp_units import MAX_IMAGE_RATE_HZ, NANOSECONDS, unit_of_stamps
from progeo_core.records.csv_cells import no_formula
from progeo_core.records.plain_number import plain_number

_log = logging.getLogger(__name__)

_MAX_STAMP = np.iinfo(np.int64).max
_MAX_STAMP_DIGITS = 19
_QUATERNION = ("qx", "qy", "qz", "qw")
_ODOMETRY = ("odom_x_m", "odom_y_m", "odom_yaw_rad")
_NAMES = ("stamp_ns", "camera", "traverse")
# Programs write six decimals or more; a length farther from 1 is of something else.
_LENGTH_TOLERANCE = 0.01


class RecordRow(NamedTuple):
    """One checked row; direction is yaw in radians (LOCAL) or heading in degrees (WGS84).

    orientation: unit quaternion x y z w, NaN unknown. odometry: x, y (m) and yaw (rad) in a frame
    of its own, NaN unknown.
    """

    image: Path
    position: tuple[float, float, float]
    direction: float
    stamp_ns: int
    camera: str
    traverse: str
    orientation: tuple[float, ...]
    depth: Path | None
    odometry: tuple[float, ...]


class RecordRows(NamedTuple):
    """Checked rows of one kind, and why each of the others has no position."""

    frame: Frame
    rows: list[RecordRow]
    unplaced: tuple[str, ...]


class _Family(NamedTuple):
    """Columns of one kind of position, and the limits of its two required ones."""

    frame: Frame
    first: str
    second: str
    third: str
    direction: str
    first_limit: float
    second_limit: float
    third_unknown: float


_LOCAL = _Family(Frame.LOCAL, "x_m", "y_m", "z_m", "yaw_rad", math.inf, math.inf, 0.0)
_WGS84 = _Family(Frame.WGS84, "lat_deg", "lon_deg", "alt_m", "heading_deg", 90.0, 180.0, math.nan)
_COLUMNS = "image and x_m,y_m[,z_m][,yaw_rad] or lat_deg,lon_deg[,alt_m][,heading_deg]"


class _Cells(NamedTuple):
    """One line as read, whose cells are read by type."""

    file: Path
    line: int
    cells: Mapping[str, str | None]

    def refusal(self, column: str, problem: str) -> DataError:
        """Build the error that names this cell."""
        return DataError(f"{self.file}, line {self.line}, column {column}: {problem}")

    def text(self, column: str) -> str:
        """Return a cell without blanks around it, "" where there is none."""
        return (self.cells.get(column) or "").strip()

    def required(self, column: str, limit: float) -> float:
        """Return a number within ±limit, or raise."""
        if not self.text(column):
            raise self.refusal(column, "is blank; every image needs a position")
        return self.optional(column, math.nan, limit)

    def optional(self, column: str, unknown: float, limit: float = math.inf) -> float:
        """Return a finite number within ±limit, `unknown` for a blank cell, or raise."""
        text = self.text(column)
        if not text:
            return unknown
        try:
            value = plain_number(text)
        except ValueError:
            raise self.refusal(column, f"'{text}' is not a number") from None
        if not math.isfinite(value) or abs(value) > limit:
            span = f"from -{limit:g} to {limit:g}" if math.isfinite(limit) else "finite"
            raise self.refusal(column, f"{text} must be {span}")
        return value

    def stamp(self) -> int:
        """Return nanoseconds, 0 for a blank cell, or raise."""
        text = self.text("stamp_ns")
        if not text:
            return 0
        # Checked by length first: Python refuses to read thousands of digits.
        whole = text.isascii() and text.isdecimal() and len(text) <= _MAX_STAMP_DIGITS
        if not whole or int(text) > _MAX_STAMP:
            shown = text if len(text) <= 2 * _MAX_STAMP_DIGITS else f"{len(text)} characters"
            raise self.refusal("stamp_ns", f"'{shown}' is not a whole number of nanoseconds")
        return int(text)

    def image(self) -> Path:
        """Return the path of a file that exists, or raise."""
        if not self.text("image"):
            raise self.refusal("image", "is blank; name an image file")
        return self._existing("image", "correct the path or drop the line")

    def depth(self) -> Path | None:
        """Return the path of a file that exists, None for a blank cell, or raise."""
        if not self.text("depth"):
            return None
        return self._existing("depth", "correct the path or leave the cell blank")

    def quaternion(self) -> tuple[float, ...]:
        """Return a quaternion of length 1, NaN where its four cells are blank, or raise."""
        turn = self._together(_QUATERNION)
        if math.isnan(turn[0]):
            return turn
        length = math.hypot(*turn)
        if abs(length - 1.0) > _LENGTH_TOLERANCE:
            raise self.refusal(
                ",".join(_QUATERNION), f"the length is {length:.6g}, but a quaternion has length 1"
            )
        return tuple(value / length for value in turn)

    def odometry(self) -> tuple[float, ...]:
        """Return x, y, yaw of the odometry, NaN where its three cells are blank, or raise."""
        return self._together(_ODOMETRY)

    def _together(self, columns: Sequence[str]) -> tuple[float, ...]:
        """Return numbers that are all known, or all NaN where all cells are blank, or raise."""
        blank = [column for column in columns if not self.text(column)]
        if 0 < len(blank) < len(columns):
            raise self.refusal(
                blank[0], f"is blank; give all of {','.join(columns)} or none of them"
            )
        return tuple(self.optional(column, math.nan) for column in columns)

    def _existing(self, column: str, fix: str) -> Path:
        path = self.file.parent / self.text(column)
        if not os.path.isfile(path):  # a name may be too long to ask
            raise self.refusal(column, f"no such file {path}; {fix}")
        return path


def read_rows(file: Path) -> RecordRows:
    """Read and check all rows; see `progeo_core.records.records.read_records` for the form.

    Cells of a .tsv are separated by tabs, of others by commas. Rows at latitude and longitude 0, 0,
    where a receiver had no fix, and repeated rows are left out and counted in a
    warning, as is what looks like another unit: stamps, which are converted, and yaw, which is not.
    """
    separator = _separator(file)
    try:
        with file.open(newline="", encoding="utf-8-sig") as lines:
            # Blanks are not skipped after tabs: of two tabs, the second would be one.
            reader = csv.DictReader(
                lines, delimiter=separator, skipinitialspace=separator == ",", strict=True
            )
            family = _family(file, [name.strip() for name in reader.fieldnames or ()])
            reader.fieldnames = [name.strip() for name in reader.fieldnames or ()]
            rows = [_row(_Cells(file, reader.line_num, cells), family) for cells in reader]
    except OSError as error:
        raise DataError(f"{file}: the records cannot be read ({error.strerror})") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise DataError(f"{file}: not a CSV file in UTF-8 ({error})") from error
    if not rows:
        raise DataError(f"{file}: no records below the header")
    _warn_of_degrees(file, family, rows)
    placed, unplaced = _split_by_fix(file, family, rows)
    once = _without_repeats(file, placed)
    return RecordRows(family.frame, _with_stamps_in_ns(file, once), unplaced)


def write_rows(file: Path, frame: Frame, rows: Sequence[RecordRow]) -> None:
    """Write rows that `read_rows` reads back, without the columns that no row knows.

    Files are named relative to the table, and an apostrophe stands before a name that a spreadsheet
    would run.
    """
    family = _LOCAL if frame is Frame.LOCAL else _WGS84
    columns = ("image", *family[1:5], *_QUATERNION, *_ODOMETRY, "depth", *_NAMES)
    cells = [dict(zip(columns, _written(file, row), strict=True)) for row in rows]
    known = [name for name in columns if any(row[name] != "" for row in cells)]
    with file.open("w", newline="", encoding="utf-8", errors="backslashreplace") as lines:
        table = csv.DictWriter(lines, known, extrasaction="ignore", delimiter=_separator(file))
        table.writeheader()
        table.writerows(cells)


def _written(file: Path, row: RecordRow) -> list[object]:
    """Return the cells of a row in the order of the columns, "" where unknown."""
    image, depth = (
        "" if path is None else no_formula(os.path.relpath(path, file.parent), "./")
        for path in (row.image, row.depth)
    )
    numbers = (*row.position, row.direction, *row.orientation, *row.odometry)
    known = ["" if math.isnan(number) else number for number in numbers]
    names = no_formula(row.camera), no_formula(row.traverse)
    return [image, *known, depth, row.stamp_ns or "", *names]


def _separator(file: Path) -> str:
    return "\t" if file.suffix.lower() == ".tsv" else ","


def _without_repeats(file: Path, rows: list[RecordRow]) -> list[RecordRow]:
    """Return the first row of every image, the others counted; refuse one at two positions."""
    kept: dict[tuple[Path, str, int], RecordRow] = {}
    repeated = []
    for row in rows:
        first = kept.setdefault((row.image, row.traverse, row.stamp_ns), row)
        if first is row:
            continue
        if first.position[:2] != row.position[:2]:
            raise DataError(
                f"{file}: {row.image} is in two rows with different positions, {first.position[:2]}"
                f" and {row.position[:2]}; keep one, or tell them apart by stamp_ns or traverse"
            )
        repeated.append(row)
    if repeated:
        _log.warning(
            "%s: %d of %d rows name an image and its position again and are left out, first: %s",
            file,
            len(repeated),
            len(rows),
            repeated[0].image,
        )
    return list(kept.values())


def _split_by_fix(
    file: Path, family: _Family, rows: list[RecordRow]
) -> tuple[list[RecordRow], tuple[str, ...]]:
    """Return the rows with a position, and why each of the others has none."""
    if family is _LOCAL:
        return rows, ()
    known = is_fix(*zip(*(row.position[:2] for row in rows), strict=True))
    placed = [row for row, fix in zip(rows, known, strict=True) if fix]
    unplaced = tuple(
        f"{row.image}: no GPS fix (latitude 0, longitude 0)"
        for row, fix in zip(rows, known, strict=True)
        if not fix
    )
    if not placed:
        raise DataError(f"{file}: all {len(rows)} records are at latitude 0, longitude 0")
    if unplaced:
        _log.warning(
            "%s: %d of %d records skipped, first: %s", file, len(unplaced), len(rows), unplaced[0]
        )
    return placed, unplaced


def _warn_of_degrees(file: Path, family: _Family, rows: list[RecordRow]) -> None:
    turns = [abs(row.direction) for row in rows if abs(row.direction) > 2.0 * math.pi]
    if family is _LOCAL and turns:
        _log.warning(
            "%s: %d of %d values of yaw_rad are more than a full turn, up to %g; yaw is in radians,"
            " counter-clockwise from the x axis",
            file,
            len(turns),
            len(rows),
            max(turns),
        )


def _with_stamps_in_ns(file: Path, rows: list[RecordRow]) -> list[RecordRow]:
    unit = unit_of_stamps([row.stamp_ns for row in rows], MAX_IMAGE_RATE_HZ)
    if unit == NANOSECONDS:
        return rows
    _log.warning("%s: the stamps are %s by their size, and are read as such", file, unit.name)
    return [row._replace(stamp_ns=row.stamp_ns * unit.nanoseconds) for row in rows]


def _family(file: Path, columns: Sequence[str]) -> _Family:
    """Return which kind of position the header names; refuse none, both, half, and doubles."""
    where = f"{file}, line 1"
    if "image" not in columns:
        apart = "; separate cells by commas" if any(";" in name for name in columns) else ""
        raise DataError(
            f"{where}, column image: is missing; the columns must be {_COLUMNS},"
            f" and are {','.join(columns) or 'none'}{apart}"
        )
    doubled = sorted({name for name in columns if columns.count(name) > 1})
    if doubled:
        raise DataError(f"{where}, column {doubled[0]}: appears twice; keep one")
    named = [family for family in (_LOCAL, _WGS84) if not set(family[1:5]).isdisjoint(columns)]
    if len(named) == 2:
        local, wgs84 = (next(name for name in f[1:5] if name in columns) for f in named)
        raise DataError(
            f"{where}, columns {local} and {wgs84}: metres and degrees are mixed; keep one kind"
        )
    family = named[0] if named else _LOCAL
    for name in (family.first, family.second):
        if name not in columns:
            raise DataError(
                f"{where}, column {name}: is missing; the columns must be {_COLUMNS},"
                f" and are {','.join(columns) or 'none'}"
            )
    for kind, together in (("an orientation", _QUATERNION), ("odometry", _ODOMETRY)):
        lacking = [name for name in together if name not in columns]
        if 0 < len(lacking) < len(together):
            raise DataError(
                f"{where}, column {lacking[0]}: is missing; {kind} needs {','.join(together)}"
            )
    return family


def _height(value: float, family: _Family) -> float:
    """Return an altitude, or a height in metres from the origin, which may be any number."""
    return value if family is _LOCAL else known_altitude(value)


def _row(cells: _Cells, family: _Family) -> RecordRow:
    # DictReader keeps what is beyond the header under the key None.
    if None in cells.cells:
        raise DataError(
            f"{cells.file}, line {cells.line}: more cells than columns; put quotes around commas"
        )
    return RecordRow(
        image=cells.image(),
        position=(
            cells.required(family.first, family.first_limit),
            cells.required(family.second, family.second_limit),
            _height(cells.optional(family.third, family.third_unknown), family),
        ),
        direction=cells.optional(family.direction, math.nan),
        stamp_ns=cells.stamp(),
        camera=cells.text("camera"),
        traverse=cells.text("traverse"),
        orientation=cells.quaternion(),
        depth=cells.depth(),
        odometry=cells.odometry(),
    )
