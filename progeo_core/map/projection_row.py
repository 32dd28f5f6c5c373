"""The projection of a map that keeps shortened descriptors: one row, with its checksum."""

from __future__ import annotations

import sqlite3
import zlib

import numpy as np

from progeo_core.descriptors.projection import Projection
from progeo_core.map.schema import PROJECTED, PROJECTION_TABLE, is_projected
from progeo_core.map.sqlite_file import DamageError


def stored_dimension(connection: sqlite3.Connection, version: int, long: int) -> int:
    """Return the length of the descriptors that a map keeps; long: of its model's."""
    if not is_projected(version):
        return long
    row = connection.execute("SELECT dimension FROM projection").fetchone()
    if row is None or not 0 < row[0] < long:
        raise DamageError(f"it cannot shorten descriptors of {long} values as it says")
    return int(row[0])


def read_projection(connection: sqlite3.Connection, version: int, long: int) -> Projection | None:
    """Return what shortens descriptors of `long` values; None where they are kept as they are."""
    if not is_projected(version):
        return None
    short = stored_dimension(connection, version, long)
    query = "SELECT components, crc32 FROM projection"
    components, crc32 = connection.execute(query).fetchone()
    if len(components) != 4 * long * short:
        raise DamageError("what shortens its descriptors has another size than it should")
    if _checksum(short, components) != crc32:
        raise DamageError("what shortens its descriptors does not match its checksum")
    values = np.frombuffer(components, "<f4").reshape(short, long)
    if not np.isfinite(values).all():
        raise DamageError("what shortens its descriptors is not finite")
    return Projection(values)


def write_projection(connection: sqlite3.Connection, projection: Projection) -> None:
    """Give a map that has none its projection, inside the caller's transaction."""
    components = np.asarray(projection.components, "<f4").tobytes()
    crc32 = _checksum(projection.dimension, components)
    connection.execute(PROJECTION_TABLE)
    row = (projection.dimension, components, crc32)
    connection.execute("INSERT INTO projection VALUES (1, ?, ?, ?)", row)
    connection.execute(f"PRAGMA user_version = {PROJECTED}")


def _checksum(dimension: int, components: bytes) -> int:
    return zlib.crc32(components, zlib.crc32(str(dimension).encode()))
