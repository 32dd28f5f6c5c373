"""The one row that a map file holds about itself: model, datum, calibration, counts, structure."""

from __future__ import annotations

import dataclasses
import json
import math
import secrets
import sqlite3
from typing import Any, NamedTuple

from progeo_core.descriptors.fingerprint import ModelFingerprint
from progeo_core.errors import UsageError
from progeo_core.geo import Datum
from progeo_core.map.checksums import fields_checksum
from progeo_core.map.confidence_calibration import Calibration, ConfidenceCurve
from progeo_core.map.place_features import StructureNote, pose_errors_in_words
from progeo_core.map.projection_row import stored_dimension
from progeo_core.map.schema import (
    CHECKSUMS_SINCE,
    POSE_ERRORS_SINCE,
    VIEWS_SINCE,
    has_calibration_v1,
)
from progeo_core.map.sqlite_file import DamageError

# A model's descriptor has at most so many values.
_MAX_DIMENSION = 1 << 20
# Digits of a revision that stay the same for the life of a map; the others are random.
_LINEAGE = 16


class MapHeader(NamedTuple):
    """What a map says of itself.

    revision: a random name of the content. places: how many there are. last_id: of the place added
    last, which may be deleted. several_cameras: whether places are of more than one camera.
    structure: what made the 3-D points, None where there are none.
    """

    fingerprint: ModelFingerprint
    datum: Datum | None
    calibration: Calibration | None
    revision: str
    places: int
    last_id: int
    several_cameras: bool
    structure: StructureNote | None = None

    def is_lineage_of(self, revision: str) -> bool:
        """Whether a revision may be this content or an earlier one of this map."""
        return revision[:_LINEAGE] == self.lineage

    @property
    def lineage(self) -> str:
        """Return the part of all revisions of this map, and of its copies, that is the same."""
        return self.revision[:_LINEAGE]


def read_header(connection: sqlite3.Connection, version: int) -> MapHeader:
    """Read the header of a map; `DamageError` where it is not as it was written."""
    row = connection.execute("SELECT * FROM map").fetchone()
    if row is None:
        raise DamageError("what it says of itself is missing")
    if version < CHECKSUMS_SINCE:
        fields = (*row[1:], *_counted_v1(connection), *_calibration_v1(connection))
    else:
        _, *fields, crc32 = row
        if fields_checksum(*fields) != crc32:
            raise DamageError("what it says of itself does not match its checksum")
    if version < VIEWS_SINCE:
        fields = (*fields, None, None)
    if version < POSE_ERRORS_SINCE:
        fields = (*fields, *_pose_errors_v3(fields[-1]))
    fingerprint, lat, lon, alt, revision, places, last_id, several, *rest = fields
    curves, structure = rest[:4], rest[4:]
    counts = (places, last_id, several)
    model = _fingerprint(fingerprint)
    if not isinstance(revision, str) or any(type(n) is not int or n < 0 for n in counts):
        raise DamageError("what it says of itself cannot be read")
    # Readers take no more rows than this, so that a file whose pages form a circle ends.
    dimension = stored_dimension(connection, version, model.dimension)
    if places * 2 * dimension > _file_bytes(connection):
        raise DamageError(f"it cannot hold the {places} places that it claims")
    return MapHeader(
        fingerprint=model,
        datum=_datum(lat, lon, alt),
        calibration=_calibration(curves),
        revision=revision,
        places=places,
        last_id=last_id,
        several_cameras=bool(several),
        structure=_structure(*structure),
    )


def write_header(connection: sqlite3.Connection, header: MapHeader) -> None:
    """Write the header of a map of this version, inside the caller's transaction."""
    fields = (
        json.dumps(dataclasses.asdict(header.fingerprint)),
        *(header.datum or (None, None, None)),
        header.revision,
        header.places,
        header.last_id,
        int(header.several_cameras),
        *_curves(header.calibration),
        *_structure_fields(header.structure),
    )
    # As SQLite gives them back.
    fields = tuple(value + 0.0 if isinstance(value, float) else value for value in fields)
    marks = ", ".join("?" * (2 + len(fields)))
    connection.execute(
        f"INSERT OR REPLACE INTO map VALUES ({marks})", (1, *fields, fields_checksum(*fields))
    )


def _curves(calibration: Calibration | None) -> tuple[float | None, ...]:
    if calibration is None:
        return (None,) * 4
    return (*calibration.single, *calibration.sequence)


def new_revision() -> str:
    """Return the revision of a new map."""
    return secrets.token_hex(16)


def next_revision(revision: str) -> str:
    """Return another random revision of the same lineage."""
    return revision[:_LINEAGE] + secrets.token_hex(8)


def _fingerprint(text: Any) -> ModelFingerprint:
    try:
        fingerprint = ModelFingerprint(**json.loads(text))
    except (TypeError, ValueError, RecursionError) as error:
        raise DamageError("what it says of its model cannot be read") from error
    for field in dataclasses.fields(fingerprint):
        if type(getattr(fingerprint, field.name)).__name__ != field.type:
            raise DamageError(f"the {field.name} of its model cannot be read")
    if not 0 < fingerprint.dimension <= _MAX_DIMENSION:
        raise DamageError(f"its model cannot give {fingerprint.dimension} values")
    return fingerprint


def _datum(*values: Any) -> Datum | None:
    if None in values:
        return None
    try:
        return Datum.checked(*map(_number, values))
    except UsageError as error:
        raise DamageError(str(error)) from error


def _calibration(values: list[Any]) -> Calibration | None:
    if len(values) != 4 or None in values:
        return None
    numbers = [_number(value) for value in values]
    if not all(map(math.isfinite, numbers)):
        raise DamageError("its calibration is not finite")
    return Calibration(ConfidenceCurve(*numbers[:2]), ConfidenceCurve(*numbers[2:]))


def _structure(extractor: Any, source: Any, *errors: Any) -> StructureNote | None:
    if (extractor, source, *errors) == (None,) * 4:
        return None
    if not (isinstance(extractor, str) and isinstance(source, str)):
        raise DamageError("what it says of its 3-D points cannot be read")
    position_m, turn_rad = map(_number, errors)
    if not (0.0 <= position_m < math.inf and 0.0 <= turn_rad < math.inf):
        raise DamageError("the errors of its poses make no sense")
    return StructureNote(extractor, source, (position_m, turn_rad))


def _structure_fields(structure: StructureNote | None) -> tuple[str | float | None, ...]:
    if structure is None:
        return (None,) * 4
    return (structure.extractor, structure.source, *structure.pose_errors)


def _pose_errors_v3(source: Any) -> tuple[float | None, float | None]:
    return pose_errors_in_words(source) if isinstance(source, str) else (None, None)


def _file_bytes(connection: sqlite3.Connection) -> int:
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    (page_bytes,) = connection.execute("PRAGMA page_size").fetchone()
    return int(pages * page_bytes)


def _number(value: Any) -> float:
    if not isinstance(value, (int, float)):
        raise DamageError("what it says of itself cannot be read")
    return float(value)


def _counted_v1(connection: sqlite3.Connection) -> tuple[int, int, int]:
    places, highest, first, last = connection.execute(
        "SELECT count(*), ifnull(max(id), 0), min(camera), max(camera) FROM place"
    ).fetchone()
    sequence = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'place'").fetchone()
    given = sequence[0] if sequence and type(sequence[0]) is int else 0
    return places, max(given, highest), int(first != last)


def _calibration_v1(connection: sqlite3.Connection) -> list[Any]:
    if not has_calibration_v1(connection):
        return [None] * 4
    query = "SELECT log_odds_offset, slope FROM calibration ORDER BY kind DESC LIMIT 3"
    rows = connection.execute(query).fetchall()
    # One row alone was left by a kill.
    return [*rows[0], *rows[1]] if len(rows) == 2 else [None] * 4
