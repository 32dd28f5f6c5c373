"""The SQLite file under a place map: its schema, how it opens, what its errors mean.

Positions, descriptors and thumbnails lie in tables of their own, so that reading one kind does not
read the others. The journal is a write-ahead log: readers and the writer do not wait for each
other, a kill at any moment loses nothing that was committed, and a power cut never damages the file
but may lose the last seconds (`synchronous=NORMAL`; the log is not flushed at every commit, which
would cost a robot's flash card tens of milliseconds per keyframe).
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path

from progeo_core.errors import DataError, UsageError
from progeo_core.geo import Datum

SUFFIX = ".progeo"
SCHEMA_VERSION = 1
_APPLICATION_ID = 0x50474D50  # "PGMP", which `file` and SQLite tools show

# Seven 512-D descriptors or one thumbnail per page; smaller pages waste a quarter on descriptors.
_PAGE_BYTES = 8192

_SCHEMA = """
CREATE TABLE map (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    fingerprint TEXT NOT NULL,
    datum_lat_deg REAL,
    datum_lon_deg REAL,
    datum_alt_m REAL,
    revision TEXT NOT NULL
);
CREATE TABLE place (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    x_m REAL NOT NULL,
    y_m REAL NOT NULL,
    z_m REAL NOT NULL,
    yaw_rad REAL,
    stamp_ns INTEGER NOT NULL,
    camera TEXT NOT NULL,
    traverse TEXT NOT NULL,
    image TEXT NOT NULL
);
CREATE TABLE descriptor (
    place_id INTEGER PRIMARY KEY REFERENCES place (id) ON DELETE CASCADE,
    float16 BLOB NOT NULL
);
CREATE TABLE thumbnail (
    place_id INTEGER PRIMARY KEY REFERENCES place (id) ON DELETE CASCADE,
    jpeg BLOB NOT NULL
);
"""

# What SQLite says, and what it means to the owner of a map.
_MEANINGS = {
    "not a database": "this is not a progeo map; build one with 'progeo map build'",
    "malformed": "the map is damaged; restore a copy of it or build it again",
    "full": "the disk is full; free some space, what was committed is safe",
    "readonly": "the map cannot be written; open it read-only or copy it to a folder of yours",
    "locked": "another program is using the map; try again when it has finished",
    "disk I/O": "the disk failed or its limit is reached; what was committed is safe",
}


def check_name(path: Path) -> None:
    """Raise `UsageError` unless a map file is called NAME.progeo: its index is NAME.faiss."""
    if path.suffix != SUFFIX:
        raise UsageError(f"{path}: a map file must be called NAME{SUFFIX}")


def create_file(path: Path, fingerprint: str, datum: Datum | None) -> None:
    """Make an empty map; a kill on the way leaves none. The caller holds the map's lock.

    Raises `DataError` if there is a file already, or the folder is missing or cannot be written.
    """
    if path.exists():
        raise DataError(f"{path} exists already: append to it, or choose another name")
    try:
        folder = tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}-")
    except OSError as error:
        raise DataError(f"{path}: the map cannot be made ({error.strerror})") from error
    with folder, explained(path):
        unfinished = Path(folder.name, path.name)
        with contextlib.closing(_connection(unfinished, "mode=rwc")) as file:
            file.execute(f"PRAGMA page_size = {_PAGE_BYTES}")
            file.execute("PRAGMA journal_mode = WAL")
            file.executescript(_SCHEMA)
            file.execute(
                "INSERT INTO map VALUES (1, ?, ?, ?, ?, lower(hex(randomblob(16))))",
                (fingerprint, *(datum or (None, None, None))),
            )
            file.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
            file.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        move_file(unfinished, path)


def move_file(closed: Path, path: Path) -> None:
    """Give a map that nobody has open its final name, where there is no map."""
    # Left by a map of that name that was deleted after a crash; SQLite would mix them in.
    for leftover in ("-wal", "-shm"):
        path.with_name(f"{path.name}{leftover}").unlink(missing_ok=True)
    os.replace(closed, path)


def open_file(path: Path, *, writable: bool) -> sqlite3.Connection:
    """Open a map and check that it is one, of a schema known here.

    A read-only connection holds a snapshot: it sees the map as it was when it was opened, whatever
    a writer does meanwhile. Raises `DataError` for a file that is missing, damaged, newer, not a
    map, or (writable) cannot be written.
    """
    if not path.is_file():
        raise DataError(
            f"{path}: there is no map here; check the path, or build it with 'progeo map build'"
        )
    with explained(path):
        connection = _writer(path) if writable else _reader(path)
        try:
            _check_kind(path, connection)
        except BaseException:
            connection.close()
            raise
        return connection


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn SQLite's errors inside the block into `DataError` with the path and the mend."""
    try:
        yield
    except sqlite3.Error as error:
        text = str(error)
        for clue, meaning in _MEANINGS.items():
            if clue in text:
                raise DataError(f"{path}: {meaning} ({text})") from error
        raise DataError(f"{path}: the map cannot be read or written ({text})") from error


def _connection(path: Path, mode: str) -> sqlite3.Connection:
    # Transactions are written out by the callers; their lock makes sharing among threads safe.
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?{mode}",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
        timeout=10.0,
    )


def _writer(path: Path) -> sqlite3.Connection:
    # SQLite would open it all the same, and refuse at the first append.
    if not _may_write(path):
        raise DataError(f"{path}: {_MEANINGS['readonly']}")
    connection = _connection(path, "mode=rw")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


def _reader(path: Path) -> sqlite3.Connection:
    # Opened for writing where that is allowed: the last one to close then tidies the log away.
    connection = _connection(path, "mode=rw")
    try:
        return _snapshot(connection)
    except sqlite3.OperationalError as error:
        connection.close()
        if _may_write(path.resolve().parent):
            raise
        return _reader_in_read_only_folder(path, error)


def _reader_in_read_only_folder(path: Path, error: sqlite3.Error) -> sqlite3.Connection:
    """Open where SQLite cannot make its log beside the map: nothing will change, so say so."""
    real = path.resolve()
    log = real.with_name(f"{real.name}-wal")
    if log.exists() and log.stat().st_size:
        raise DataError(
            f"{path}: its writer did not finish, and this folder is read-only; copy the map and"
            f" {log.name} to a folder where you may write"
        ) from error
    return _snapshot(_connection(path, "mode=ro&immutable=1"))


def _may_write(path: Path) -> bool:
    return os.access(path, os.W_OK, effective_ids=True)


def _snapshot(connection: sqlite3.Connection) -> sqlite3.Connection:
    connection.execute("PRAGMA query_only = ON")
    connection.execute("BEGIN")
    # The transaction starts with the first thing that is read.
    connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    return connection


def _check_kind(path: Path, connection: sqlite3.Connection) -> None:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application != _APPLICATION_ID:
        raise DataError(f"{path}: this is not a progeo map; build one with 'progeo map build'")
    if version > SCHEMA_VERSION:
        raise DataError(
            f"{path}: the map has schema {version}, this program reads up to {SCHEMA_VERSION};"
            " update progeo"
        )
