import json
from contextlib import closing

import pytest

from progeo_core.errors import DataError
from progeo_core.map.checksums import fields_checksum
from progeo_core.map.map_header import next_revision
from progeo_core.map.place_map import PlaceMap
from progeo_core.map.sqlite_file import open_file

MODEL = {
    "architecture": "tiny+GeM",
    "dimension": 8,
    "preprocessing": "64x64 bilinear",
    "weights_sha256": "ab" * 32,
    "normalized": True,
    "name": "tiny",
}
HOSTILE = [
    ("structure_position_error_m", -1.0, "what it says of its 3-D points cannot be read"),
    ("structure_turn_error_rad", 1.0, "what it says of its 3-D points cannot be read"),
    ("fingerprint", "[" * 100_000, "what it says of its model cannot be read"),
    ("fingerprint", "[]", "what it says of its model cannot be read"),
    ("fingerprint", json.dumps(MODEL | {"dimension": "8"}), "the dimension of its model"),
    ("fingerprint", json.dumps(MODEL | {"dimension": True}), "the dimension of its model"),
    ("fingerprint", json.dumps(MODEL | {"dimension": 0}), "cannot give 0 values"),
    ("fingerprint", json.dumps(MODEL | {"dimension": 10**12}), "cannot give 1000000000000 values"),
    ("fingerprint", json.dumps(MODEL | {"name": None}), "the name of its model cannot be read"),
    ("datum_lat_deg", 91.0, "datum latitude 91.0: must be a finite number from -90 to 90"),
    ("datum_lon_deg", float("inf"), "datum longitude inf"),
    ("places", 10**12, "it cannot hold the 1000000000000 places that it claims"),
    ("places", -1, "what it says of itself cannot be read"),
    ("single_offset", float("-inf"), "its calibration is not finite"),
]


def resealed(path, column, value):
    """Change one value and its checksum, as one who knows the format would."""
    with closing(open_file(path, writable=True).connection) as connection:
        connection.execute("UPDATE map SET single_offset = 0, single_slope = 1")
        connection.execute("UPDATE map SET sequence_offset = 0, sequence_slope = 1")
        connection.execute(f"UPDATE map SET {column} = ?", (value,))
        row = connection.execute("SELECT * FROM map").fetchone()
        connection.execute("UPDATE map SET crc32 = ?", (_checksum(row[1:-1]),))


def _checksum(fields):
    return fields_checksum(*fields)


@pytest.mark.parametrize(("column", "value", "message"), HOSTILE)
def test_a_header_that_makes_no_sense_is_one_error(filled_map, column, value, message):
    resealed(filled_map, column, value)
    with pytest.raises(DataError) as raised:
        PlaceMap.open(filled_map)
    assert "filled.progeo: the map is damaged" in str(raised.value)
    assert message in str(raised.value)


def test_a_header_that_was_changed_or_is_missing_is_noticed(filled_map, edited):
    edited(filled_map, "UPDATE map SET datum_lat_deg = 48.5")
    with pytest.raises(DataError, match="says of itself does not match its checksum"):
        PlaceMap.open(filled_map)
    edited(filled_map, "DELETE FROM map")
    with pytest.raises(DataError, match="what it says of itself is missing"):
        PlaceMap.open(filled_map)


def test_revisions_of_one_map_share_their_beginning():
    first = "0123456789abcdef" * 2
    assert next_revision(first)[:16] == first[:16]
    assert next_revision(first) != next_revision(first)
