"""The SQLite file under a place map: how it is made and opened, and what its errors mean.

The journal is a write-ahead log: readers and the writer do not wait for each
other, a kill at any moment loses nothing that was committed, and a power cut never damages the file
but may lose the last seconds (`synchronous=NORMAL`; the log is not flushed at every commit, which
would cost a robot's flash card tens of milliseconds per keyframe).
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from progeo_core.errors import DataError, UsageError
from progeo_core.map.schema import create_tables, schema_version

SUFFIX = ".progeo"
_APPLICATION_ID = 0x50474D50  # "PGMP", which `file` and SQLite tools show

# Seven 512-D descriptors or one thumbnail per page; smaller pages waste a quarter on descriptors.
_PAGE_BYTES = 8192
# Opening reads a few rows; a file made to keep a program busy is given up after this long.
_MAX_OPENING_S = 20.0
# SQLite's virtual instructions between two looks at the clock, about a millisecond.
_INSTRUCTIONS = 100_000

# What SQLite says, and what it means to the owner of a map.
_MEANINGS = {
    "not a database": "this is not a progeo map; build one with 'progeo map build'",
    "malformed": "the map is damaged; restore a copy of it or build it again",
    "Could not decode": "the map is damaged; restore a copy of it or build it again",
    "unsupported file": "the map is damaged; restore a copy of it or build it again",
    "interrupted": "the map is damaged, or made to keep programs busy; restore a copy of it",
    "full": "the disk is full; free some space, what was committed is safe",
    "readonly": "the map cannot be written; open it read-only or copy it to a folder of yours",
    "locked": "another program is using the map; try again when it has finished",
    "disk I/O": "the disk failed or its limit is reached; what was committed is safe",
}


class DamageError(Exception):
    """Content of a map that is not as it was written; says what, without the file's name."""


class OpenFile(NamedTuple):
    """An open map file with the version of its schema."""

    connection: sqlite3.Connection
    version: int


def check_name(path: Path) -> None:
    """Raise `UsageError` unless a map file is called NAME.progeo: its index is NAME.faiss."""
    if path.suffix != SUFFIX:
        raise UsageError(f"{path}: a map file must be called NAME{SUFFIX}")


def create_file(path: Path, fill: Callable[[sqlite3.Connection], None]) -> None:
    """Make an empty map; a kill on the way leaves none. The caller holds the map's lock.

    fill: writes what is to be in it. Raises `DataError` if there is a file already, or the folder
    is missing or cannot be written.
    """
    if path.exists():
        raise DataError(f"{path} exists already: append to it, or choose another name")
    with scratch_folder(path) as folder, explained(path):
        unfinished = folder / path.name
        with contextlib.closing(_connection(unfinished, "mode=rwc")) as file:
            file.execute(f"PRAGMA page_size = {_PAGE_BYTES}")
            file.execute("PRAGMA journal_mode = WAL")
            file.execute("BEGIN")
            create_tables(file)
            fill(file)
            file.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
            file.execute("COMMIT")
        move_file(unfinished, path)


@contextlib.contextmanager
def scratch_folder(path: Path) -> Iterator[Path]:
    """Yield a folder beside a map that is to be made; it goes with the block.

    The caller holds the map's lock, whose next holder removes what a kill left. Raises `DataError`
    where the folder cannot be made.
    """
    try:
        folder = tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}-")
    except OSError as error:
        raise DataError(f"{path}: the map cannot be made ({error.strerror})") from error
    with folder:
        yield Path(folder.name)


def leave_out_log(connection: sqlite3.Connection) -> None:
    """Write each page once from now on, not to the log first: what a kill leaves is damaged.

    For a file that counts only once it is whole; `finish_file` makes it a usual one.
    """
    connection.execute("PRAGMA journal_mode = MEMORY").fetchall()
    connection.execute("PRAGMA synchronous = OFF")


def finish_file(closed: Path) -> None:
    """Give a file that was written without a log its log again, once the disk has all of it."""
    with explained(closed), contextlib.closing(_connection(closed, "mode=rw")) as file:
        file.execute("PRAGMA journal_mode = WAL").fetchall()
    try:
        with closed.open("rb") as written:
            os.fsync(written.fileno())
    except OSError as error:
        raise DataError(f"{closed}: {_MEANINGS['disk I/O']} ({error.strerror})") from error


def move_file(closed: Path, path: Path) -> None:
    """Give a map that nobody has open its final name, where there is no map."""
    # Left by a map of that name that was deleted after a crash; SQLite would mix them in.
    for leftover in ("-wal", "-shm"):
        path.with_name(f"{path.name}{leftover}").unlink(missing_ok=True)
    os.replace(closed, path)


def require_file(path: Path) -> None:
    """Raise `DataError` where there is no map, and `UsageError` where a name is none of a map."""
    check_name(path)
    if not path.is_file():
        raise DataError(
            f"{path}: there is no map here; check the path, or build it with 'progeo map build'"
        )


def open_file(path: Path, *, writable: bool) -> OpenFile:
    """Open a map and check that it is one, of a schema known here and with nothing besides.

    A read-only connection holds a snapshot: it sees the map as it was when it was opened, whatever
    a writer does meanwhile. Raises `DataError` for a file that is missing, damaged, newer, not a
    map, or (writable) cannot be written.
    """
    require_file(path)
    with explained(path):
        connection = _writer(path) if writable else _reader(path)
        try:
            with time_limit(connection):
                return OpenFile(connection, _checked_version(path, connection))
        except BaseException:
            connection.close()
            raise


@contextlib.contextmanager
def time_limit(connection: sqlite3.Connection) -> Iterator[None]:
    """Interrupt what the block asks of SQLite when it takes longer than opening ever does."""
    deadline = time.monotonic() + _MAX_OPENING_S
    connection.set_progress_handler(lambda: int(time.monotonic() > deadline), _INSTRUCTIONS)
    try:
        yield
    finally:
        connection.set_progress_handler(None, 0)


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn errors of SQLite and of damage inside the block into `DataError` with path and fix."""
    try:
        yield
    except DamageError as error:
        raise DataError(f"{path}: {_MEANINGS['malformed']} ({error})") from error
    except UnicodeDecodeError as error:
        # A message of SQLite's that quotes the file.
        raise DataError(f"{path}: {_MEANINGS['malformed']}") from error
    except sqlite3.Error as error:
        text = str(error)
        for clue, meaning in _MEANINGS.items():
            if clue in text:
                raise DataError(f"{path}: {meaning} ({text})") from error
        raise DataError(f"{path}: the map cannot be read or written ({text})") from error


def _connection(path: Path, mode: str) -> sqlite3.Connection:
    # Transactions are written out by the callers; their lock makes sharing among threads safe.
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?{mode}",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
        timeout=10.0,
    )
    # What a file's own schema calls may do nothing outside the file.
    connection.execute("PRAGMA trusted_schema = OFF")
    return connection


def _writer(path: Path) -> sqlite3.Connection:
    # SQLite would open it all the same, and refuse at the first append.
    if not may_write(path):
        raise DataError(f"{path}: {_MEANINGS['readonly']}")
    connection = _connection(path, "mode=rw")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


def _reader(path: Path) -> sqlite3.Connection:
    # Opened for writing where that is allowed: the last one to close then tidies the log away.
    try:
        return _snapshot(_connection(path, "mode=rw"))
    except sqlite3.OperationalError as error:
        # Full: not even the 32 KiB that readers share fit.
        if may_write(path.resolve().parent) and "disk I/O" not in str(error):
            raise
        return _reader_without_log(path, error)


def _reader_without_log(path: Path, error: sqlite3.Error) -> sqlite3.Connection:
    """Open where SQLite cannot make its log beside the map: nothing will change, so say so."""
    real = path.resolve()
    log = real.with_name(f"{real.name}-wal")
    if log.exists() and log.stat().st_size:
        raise DataError(
            f"{path}: its writer did not finish, and this folder is read-only or full; copy the map"
            f" and {log.name} to a folder where you may write"
        ) from error
    return _snapshot(_connection(path, "mode=ro&immutable=1"))


def may_write(path: Path) -> bool:
    """Whether this process may write a file or into a folder."""
    return os.access(path, os.W_OK, effective_ids=True)


def _snapshot(connection: sqlite3.Connection) -> sqlite3.Connection:
    try:
        with time_limit(connection):
            connection.execute("PRAGMA query_only = ON")
            connection.execute("BEGIN")
            # The transaction starts with the first thing that is read.
            connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    except BaseException:
        connection.close()
        raise
    return connection


def _checked_version(path: Path, connection: sqlite3.Connection) -> int:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    if application != _APPLICATION_ID:
        raise DataError(f"{path}: this is not a progeo map; build one with 'progeo map build'")
    try:
        return schema_version(connection)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
