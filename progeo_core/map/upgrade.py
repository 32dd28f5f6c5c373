"""Maps of earlier schemas become maps of this one: in place, in one step.

The first had no checksums, the second no views, the third (fourth, where descriptors are shortened)
said how wrong its poses are in words only.
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
from pathlib import Path

import numpy as np

from progeo_core.errors import DataError
from progeo_core.map.checksums import descriptor_checksums, label_checksum, pose_checksums
from progeo_core.map.map_header import MapHeader, read_header, write_header
from progeo_core.map.place_rows import PlaceRows
from progeo_core.map.places import IdArray
from progeo_core.map.schema import (
    CHECKSUMS_SINCE,
    DESCRIPTOR_TABLE,
    MAP_TABLE,
    PLACE_TABLE,
    PROJECTED,
    THUMBNAIL_TABLE,
    VERSION,
    VIEWS_SINCE,
    create_view_tables,
    has_calibration_v1,
    is_projected,
)
from progeo_core.map.sqlite_file import DamageError, explained, may_write, open_file
from progeo_core.map.write_lock import MapLock

_log = logging.getLogger(__name__)

_BLOCK = 4096


def upgrade_if_possible(path: Path) -> None:
    """Upgrade a map that is to be read, unless it has to be read as it is.

    That is in a read-only folder, on a full disk, while another program writes it, or damaged.
    """
    if not may_write(path):
        return
    try:
        lock = MapLock(path)
    except DataError:
        return
    try:
        lock.require_one_name()
        upgrade_file(path)
    except DataError as error:
        _log.warning("the map is read as it is, as it cannot be upgraded: %s", error)
    finally:
        lock.release()


def upgrade_file(path: Path) -> None:
    """Give a map of an earlier schema this one; the caller holds the map's lock.

    One transaction: a kill leaves the map as it was. Raises `DataError` for a damaged map.
    """
    connection, version = open_file(path, writable=True)
    with contextlib.closing(connection), explained(path):
        if version >= VERSION:
            return
        target = PROJECTED if is_projected(version) else VERSION
        _log.info("%s: upgrading the map to schema %d", path, target)
        connection.execute("BEGIN IMMEDIATE")
        header = read_header(connection, version)
        if version < CHECKSUMS_SINCE:
            _sign(connection, header)
        _declare_tables(connection, header)
        if version < VIEWS_SINCE:
            create_view_tables(connection)
        connection.execute(f"PRAGMA user_version = {target}")
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def _sign(connection: sqlite3.Connection, header: MapHeader) -> None:
    """Give the rows of a map of the first schema their checksums."""
    rows = PlaceRows(connection, 1, header.fingerprint.dimension)
    poses = rows.poses(header.places)
    connection.execute("ALTER TABLE place ADD COLUMN thumbnail_crc32 INTEGER")
    connection.execute("ALTER TABLE place ADD COLUMN pose_checksum INTEGER")
    connection.execute("ALTER TABLE place ADD COLUMN label_crc32 INTEGER")
    connection.execute("ALTER TABLE descriptor ADD COLUMN checksum INTEGER")
    checksums = pose_checksums(poses)
    for start in range(0, header.places, _BLOCK):
        block = slice(start, start + _BLOCK)
        _sign_places(connection, rows, poses.ids[block], checksums[block])
    _sign_descriptors(connection, rows, poses.ids)


def _sign_places(
    connection: sqlite3.Connection, rows: PlaceRows, ids: IdArray, pose_checksum: IdArray
) -> None:
    signed = []
    labels = sorted(rows.labels_of(ids.tolist()))
    for label, pose in zip(labels, pose_checksum.tolist(), strict=True):
        complete = label._replace(thumbnail_crc32=rows.thumbnail_crc32(label.place_id))
        signed.append((complete.thumbnail_crc32, pose, label_checksum(*complete), label.place_id))
    connection.executemany(
        "UPDATE place SET thumbnail_crc32 = ?, pose_checksum = ?, label_crc32 = ? WHERE id = ?",
        signed,
    )


def _sign_descriptors(connection: sqlite3.Connection, rows: PlaceRows, ids: IdArray) -> None:
    after, seen = 0, [ids[:0]]
    while True:
        block, vectors = rows.descriptors_after(after, _BLOCK)
        if not len(block):
            break
        checksums = descriptor_checksums(block, vectors).tolist()
        connection.executemany(
            "UPDATE descriptor SET checksum = ? WHERE place_id = ?",
            zip(checksums, block.tolist(), strict=True),
        )
        after = int(block[-1])
        seen.append(block)
    if not np.array_equal(np.concatenate(seen), ids):
        raise DamageError("its descriptors are those of other places")


def _declare_tables(connection: sqlite3.Connection, header: MapHeader) -> None:
    """Change the text of the tables to this version's; what the rows hold fits it by now.

    SQLite's own way (https://sqlite.org/lang_altertable.html) to change constraints without copying
    a table, which may be gigabytes of thumbnails. A column at the end of a table that rows do not
    have yet is NULL.
    """
    connection.execute("DROP TABLE map")
    if has_calibration_v1(connection):
        connection.execute("DROP TABLE calibration")
    connection.execute(MAP_TABLE)
    write_header(connection, header)
    (version,) = connection.execute("PRAGMA schema_version").fetchone()
    connection.execute("PRAGMA writable_schema = ON")
    tables = {"place": PLACE_TABLE, "descriptor": DESCRIPTOR_TABLE, "thumbnail": THUMBNAIL_TABLE}
    connection.executemany(
        "UPDATE sqlite_schema SET sql = ? WHERE type = 'table' AND name = ?",
        [(text, name) for name, text in tables.items()],
    )
    connection.execute(f"PRAGMA schema_version = {version + 1}")
    connection.execute("PRAGMA writable_schema = OFF")
