"""Tables of a map file, of this version and the ones before, and nothing besides them.

Positions, descriptors, thumbnails and views lie in tables of their own, so that reading one kind
does not read the others. Columns called crc32 or checksum cover the others of their row (see
`checksums`); those of a thumbnail and of a view lie with their place, so that a lost one is
noticed.
"""

from __future__ import annotations

import sqlite3

from progeo_core.errors import DataError

VERSION = 5
# A map that keeps shortened descriptors is of the next version, of earlier versions 4: programs
# that would not shorten those of queries refuse it. All other maps stay as they are.
PROJECTED = VERSION + 1
_PROJECTED_V4 = 4
# The versions from which on rows have checksums, places have views, and the errors of poses are
# known.
CHECKSUMS_SINCE, VIEWS_SINCE, POSE_ERRORS_SINCE = 2, 3, 5

MAP_TABLE = """CREATE TABLE map (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    fingerprint TEXT NOT NULL,
    datum_lat_deg REAL,
    datum_lon_deg REAL,
    datum_alt_m REAL,
    revision TEXT NOT NULL,
    places INTEGER NOT NULL,
    last_id INTEGER NOT NULL,
    several_cameras INTEGER NOT NULL,
    single_offset REAL,
    single_slope REAL,
    sequence_offset REAL,
    sequence_slope REAL,
    structure_extractor TEXT,
    structure_source TEXT,
    structure_position_error_m REAL,
    structure_turn_error_rad REAL,
    crc32 INTEGER NOT NULL
) STRICT"""

PLACE_TABLE = """CREATE TABLE place (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    x_m REAL NOT NULL,
    y_m REAL NOT NULL,
    z_m REAL NOT NULL,
    yaw_rad REAL,
    stamp_ns INTEGER NOT NULL,
    camera TEXT NOT NULL,
    traverse TEXT NOT NULL,
    image TEXT NOT NULL,
    thumbnail_crc32 INTEGER,
    pose_checksum INTEGER NOT NULL,
    label_crc32 INTEGER NOT NULL,
    view_crc32 INTEGER
) STRICT"""

DESCRIPTOR_TABLE = """CREATE TABLE descriptor (
    place_id INTEGER PRIMARY KEY REFERENCES place (id) ON DELETE CASCADE,
    float16 BLOB NOT NULL,
    checksum INTEGER NOT NULL
) STRICT"""

THUMBNAIL_TABLE = """CREATE TABLE thumbnail (
    place_id INTEGER PRIMARY KEY REFERENCES place (id) ON DELETE CASCADE,
    jpeg BLOB NOT NULL
) STRICT"""

# The calibrations of the cameras that places were seen by, each once, as JSON of `Intrinsics`.
INTRINSICS_TABLE = """CREATE TABLE intrinsics (
    id INTEGER PRIMARY KEY,
    json TEXT NOT NULL,
    crc32 INTEGER NOT NULL
) STRICT"""

# The camera's pose, and the local features (see `feature_blob`); what is unknown is NULL.
VIEW_TABLE = """CREATE TABLE place_view (
    place_id INTEGER PRIMARY KEY REFERENCES place (id) ON DELETE CASCADE,
    intrinsics_id INTEGER REFERENCES intrinsics (id),
    x_m REAL,
    y_m REAL,
    z_m REAL,
    qx REAL,
    qy REAL,
    qz REAL,
    qw REAL,
    width INTEGER,
    height INTEGER,
    landmarks INTEGER,
    features BLOB
) STRICT"""

# Where descriptors are kept shortened: to so many values, by these components (float32,
# little-endian, row by row).
PROJECTION_TABLE = """CREATE TABLE projection (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    dimension INTEGER NOT NULL,
    components BLOB NOT NULL,
    crc32 INTEGER NOT NULL
) STRICT"""

# SQLite makes this one by itself for AUTOINCREMENT.
_SEQUENCE = ("table", "sqlite_sequence", "CREATE TABLE sqlite_sequence(name,seq)")

_TABLES = {
    ("table", "map", MAP_TABLE),
    ("table", "place", PLACE_TABLE),
    ("table", "descriptor", DESCRIPTOR_TABLE),
    ("table", "thumbnail", THUMBNAIL_TABLE),
    ("table", "intrinsics", INTRINSICS_TABLE),
    ("table", "place_view", VIEW_TABLE),
    _SEQUENCE,
}

_MAP_TABLE_V3 = MAP_TABLE.replace(
    "    structure_position_error_m REAL,\n    structure_turn_error_rad REAL,\n", ""
)
_TABLES_V3 = _TABLES - {("table", "map", MAP_TABLE)} | {("table", "map", _MAP_TABLE_V3)}

_MAP_TABLE_V2 = _MAP_TABLE_V3.replace(
    "    structure_extractor TEXT,\n    structure_source TEXT,\n", ""
)
_PLACE_TABLE_V2 = PLACE_TABLE.replace(",\n    view_crc32 INTEGER", "")

_TABLES_V2 = {
    ("table", "map", _MAP_TABLE_V2),
    ("table", "place", _PLACE_TABLE_V2),
    ("table", "descriptor", DESCRIPTOR_TABLE),
    ("table", "thumbnail", THUMBNAIL_TABLE),
    _SEQUENCE,
}

_TABLES_V1 = {
    (
        "table",
        "map",
        """CREATE TABLE map (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    fingerprint TEXT NOT NULL,
    datum_lat_deg REAL,
    datum_lon_deg REAL,
    datum_alt_m REAL,
    revision TEXT NOT NULL
)""",
    ),
    (
        "table",
        "place",
        """CREATE TABLE place (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    x_m REAL NOT NULL,
    y_m REAL NOT NULL,
    z_m REAL NOT NULL,
    yaw_rad REAL,
    stamp_ns INTEGER NOT NULL,
    camera TEXT NOT NULL,
    traverse TEXT NOT NULL,
    image TEXT NOT NULL
)""",
    ),
    (
        "table",
        "descriptor",
        """CREATE TABLE descriptor (
    place_id INTEGER PRIMARY KEY REFERENCES place (id) ON DELETE CASCADE,
    float16 BLOB NOT NULL
)""",
    ),
    (
        "table",
        "thumbnail",
        """CREATE TABLE thumbnail (
    place_id INTEGER PRIMARY KEY REFERENCES place (id) ON DELETE CASCADE,
    jpeg BLOB NOT NULL
)""",
    ),
    _SEQUENCE,
}
# Made when a map was calibrated first.
_CALIBRATION_V1 = {
    (
        "table",
        "calibration",
        "CREATE TABLE calibration (kind TEXT PRIMARY KEY,"
        " log_odds_offset REAL NOT NULL, slope REAL NOT NULL)",
    ),
    ("index", "sqlite_autoindex_calibration_1", None),
}

_PROJECTION = {("table", "projection", PROJECTION_TABLE)}
_WANTED = {
    1: _TABLES_V1,
    2: _TABLES_V2,
    3: _TABLES_V3,
    _PROJECTED_V4: _TABLES_V3 | _PROJECTION,
    VERSION: _TABLES,
    PROJECTED: _TABLES | _PROJECTION,
}


def is_projected(version: int) -> bool:
    """Whether maps of a version keep shortened descriptors."""
    return version in (_PROJECTED_V4, PROJECTED)


def create_tables(connection: sqlite3.Connection) -> None:
    """Make the tables of a new map."""
    for table in (MAP_TABLE, PLACE_TABLE, DESCRIPTOR_TABLE, THUMBNAIL_TABLE):
        connection.execute(table)
    create_view_tables(connection)
    connection.execute(f"PRAGMA user_version = {VERSION}")


def create_view_tables(connection: sqlite3.Connection) -> None:
    """Make the tables of views, which maps of versions 1 and 2 do not have."""
    connection.execute(INTRINSICS_TABLE)
    connection.execute(VIEW_TABLE)


def has_calibration_v1(connection: sqlite3.Connection) -> bool:
    """Whether a map of the first version was ever calibrated."""
    query = "SELECT count(*) FROM sqlite_schema WHERE name = 'calibration'"
    return bool(connection.execute(query).fetchone()[0])


def schema_version(connection: sqlite3.Connection) -> int:
    """Return the version of a map file after comparing its schema; `DataError` says what differs.

    The message is about the file, without its name.
    """
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > PROJECTED:
        raise DataError(
            f"the map has schema {version}, this program reads up to {PROJECTED}; update progeo"
        )
    if version not in _WANTED:
        raise DataError(
            f"the map is damaged; restore a copy of it or build it again (schema {version} never"
            " was one)"
        )
    rows = connection.execute("SELECT type, name, sql FROM sqlite_schema LIMIT 100").fetchall()
    found, wanted = set(rows), _WANTED[version]
    allowed = wanted | _CALIBRATION_V1 if version == 1 else wanted
    for kind, name, _ in sorted(found - allowed, key=str):
        altered = name in {own for _, own, _ in allowed}
        what = "is not as this program made it" if altered else "does not belong in a map"
        raise DataError(
            f"its {kind} '{name}' {what}: another program changed the map, or it is damaged;"
            " restore a copy of it or build it again"
        )
    for _, name, _ in sorted(wanted - found, key=str):
        raise DataError(
            f"the map is damaged; restore a copy of it or build it again (its table {name} is"
            " missing)"
        )
    return int(version)
