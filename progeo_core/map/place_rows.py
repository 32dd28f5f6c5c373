"""Rows of places in a map file: written with checksums, compared with them when they are read.

Everything here is called with the map's transactions and locks in hand, and raises `DamageError`
naming the place whose row is not as it was written. Maps of the first schema have no checksums;
their values are still checked for their types and for being finite.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import sqlite3
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from progeo_core.geo import MAX_POSITION_M
from progeo_core.map.checksums import descriptor_checksums, label_checksum, pose_checksums
from progeo_core.map.places import Float16Array, IdArray, PlacePoses, Places
from progeo_core.map.schema import CHECKSUMS_SINCE, VIEWS_SINCE
from progeo_core.map.sqlite_file import DamageError

_POSE_FIELDS = 6
# Finds a place whose pose is no numbers.
_NO_POSE = """SELECT id FROM place WHERE typeof(x_m) NOT IN ('real', 'integer')
 OR typeof(y_m) NOT IN ('real', 'integer') OR typeof(z_m) NOT IN ('real', 'integer')
 OR typeof(yaw_rad) NOT IN ('real', 'integer', 'null') OR abs(yaw_rad) = 9e999 LIMIT 1"""
_FLOAT16_EXPONENT = np.uint16(0x7C00)


class Label(NamedTuple):
    """What a place is called, without its pose; checksums: None without a thumbnail or view."""

    place_id: int
    stamp_ns: int
    camera: str
    traverse: str
    image: str
    thumbnail_crc32: int | None
    view_crc32: int | None


class PlaceRows:
    """Rows of the places of one open map file.

    dimension: values of a descriptor.
    """

    def __init__(self, connection: sqlite3.Connection, version: int, dimension: int) -> None:
        """Take the open file and the version of its schema."""
        self._connection, self._dimension = connection, dimension
        self._has_checksums = version >= CHECKSUMS_SINCE
        self._has_views = version >= VIEWS_SINCE

    def insert(
        self,
        ids: IdArray,
        places: Places,
        vectors: Float16Array,
        view_crc32: Sequence[int | None],
    ) -> None:
        """Write places with their descriptors [n, D], all of them finite, under new ids [n].

        view_crc32: n checksums of their views, None without one.
        """
        poses = PlacePoses(ids, np.asarray(places.position, np.float64), places.yaw_rad)
        numbers = np.column_stack([poses.position, poses.yaw_rad]).tolist()
        pictures = [None if jpeg is None else zlib.crc32(jpeg) for jpeg in places.thumbnail]
        labels = map(
            Label,
            ids.tolist(),
            np.asarray(places.stamp_ns).tolist(),
            map(storable_name, places.camera),
            map(storable_name, places.traverse),
            map(storable_name, places.image),
            pictures,
            view_crc32,
        )
        self._connection.executemany(
            "INSERT INTO place VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                (
                    *(label.place_id, *pose, *label[1:-1]),
                    *(checksum, label_checksum(*label), label.view_crc32),
                )
                for label, pose, checksum in zip(
                    labels, numbers, pose_checksums(poses).tolist(), strict=True
                )
            ),
        )
        checksums = descriptor_checksums(ids, vectors).tolist()
        self._connection.executemany(
            "INSERT INTO descriptor VALUES (?, ?, ?)",
            zip(ids.tolist(), map(np.ndarray.tobytes, vectors), checksums, strict=True),
        )
        self._connection.executemany(
            "INSERT INTO thumbnail VALUES (?, ?)",
            (
                (place_id, jpeg)
                for place_id, jpeg in zip(ids.tolist(), places.thumbnail, strict=True)
                if jpeg is not None
            ),
        )

    def replace_descriptors(self, ids: IdArray, vectors: Float16Array) -> None:
        """Write other descriptors [n, D] of places [n]."""
        checksums = descriptor_checksums(ids, vectors).tolist()
        self._connection.executemany(
            "UPDATE descriptor SET float16 = ?, checksum = ? WHERE place_id = ?",
            zip(map(np.ndarray.tobytes, vectors), checksums, ids.tolist(), strict=True),
        )

    def delete(self, ids: IdArray) -> int:
        """Remove places; return how many were there."""
        rows = ((place_id,) for place_id in ids.tolist())
        return self._connection.executemany("DELETE FROM place WHERE id = ?", rows).rowcount

    def set_view_checksums(self, crc32: Mapping[int, int | None]) -> None:
        """Give places the checksums of their new views by id, None without one."""
        labels = [
            label._replace(view_crc32=crc32[label.place_id]) for label in self.labels_of([*crc32])
        ]
        self._connection.executemany(
            "UPDATE place SET view_crc32 = ?, label_crc32 = ? WHERE id = ?",
            [(label.view_crc32, label_checksum(*label), label.place_id) for label in labels],
        )

    def poses(self, places: int) -> PlacePoses:
        """Return the poses of all places; `places`: how many the map says it has."""
        return self._poses("true ORDER BY id LIMIT ?", places + 1, places)

    def poses_of(self, ids: Sequence[int]) -> PlacePoses:
        """Return the poses of those of `ids` that there are, each once."""
        where = "id IN (SELECT value FROM json_each(?)) ORDER BY id"
        return self._poses(where, json.dumps(ids), None)

    def _poses(self, where: str, value: int | str, places: int | None) -> PlacePoses:
        """Return the poses of some places, or of all; `places`: how many these should be."""
        checksum = "pose_checksum" if self._has_checksums else "0"
        # A flat array of one type is filled fastest, and by SQLite's floats; these hold ids and
        # checksums exactly. An unknown yaw comes as the infinity that 9e999 is.
        rows = self._connection.execute(
            "SELECT CAST(id AS REAL), x_m, y_m, z_m, ifnull(yaw_rad, 9e999),"
            f" CAST({checksum} AS REAL)"
            f" FROM place WHERE {where}",
            (value,),
        )
        # An open cursor would keep the file locked for as long as someone holds the exception.
        with contextlib.closing(rows):
            try:
                table = np.fromiter(itertools.chain.from_iterable(rows), np.float64)
            except (TypeError, ValueError, OverflowError) as error:
                raise self._no_pose() from error
        table = table.reshape(-1, _POSE_FIELDS)
        ids = table[:, 0].astype(np.int64)
        if places is not None:
            _complete(ids, places)
        poses = PlacePoses(ids, np.ascontiguousarray(table[:, 1:4]), table[:, 4].copy())
        poses.yaw_rad[np.isinf(poses.yaw_rad)] = np.nan
        on_earth = (np.abs(poses.position) <= MAX_POSITION_M).all(axis=1)
        _require(on_earth, ids, "its position is not finite or not on earth")
        if self._has_checksums:
            # As float64, as a damaged one may be any number.
            equal = pose_checksums(poses).astype(np.float64) == table[:, 5]
            _require(equal, ids, "its pose does not match its checksum")
        elif self._connection.execute(_NO_POSE).fetchone() is not None:
            # SQLite's text of a number passes for one.
            raise self._no_pose()
        for column in poses:
            column.flags.writeable = False
        return poses

    def labels(self, places: int) -> Iterator[Label]:
        """Yield what all places are called, ids ascending; `places`: see `poses`."""
        return self._labels("true ORDER BY id LIMIT ?", places + 1)

    def labels_of(self, ids: Sequence[int]) -> Iterator[Label]:
        """Yield what those of `ids` are called that there are, each once."""
        return self._labels("id IN (SELECT value FROM json_each(?))", json.dumps(ids))

    def _labels(self, where: str, value: int | str) -> Iterator[Label]:
        checks = "NULL, NULL, NULL"
        if self._has_checksums:
            view_crc32 = "view_crc32" if self._has_views else "NULL"
            checks = f"thumbnail_crc32, {view_crc32}, label_crc32"
        query = f"SELECT id, stamp_ns, camera, traverse, image, {checks} FROM place WHERE {where}"
        with contextlib.closing(self._connection.execute(query, (value,))) as rows:
            for *fields, crc32 in rows:
                label = Label(*fields)
                names = label.camera, label.traverse, label.image
                if type(label.stamp_ns) is not int or set(map(type, names)) != {str}:
                    raise DamageError(f"place {label.place_id}: its names or stamp cannot be read")
                if self._has_checksums and label_checksum(*label) != crc32:
                    raise DamageError(
                        f"place {label.place_id}: its names and stamp do not match their checksum"
                    )
                yield label

    def descriptors(self, ids: Sequence[int]) -> tuple[IdArray, Float16Array]:
        """Return the ids [m] and descriptors [m, D] of those of `ids` that there are, each once."""
        # One question for all of them takes a fifth of the time of one for each.
        return self._descriptors("place_id IN (SELECT value FROM json_each(?))", (json.dumps(ids),))

    def descriptors_after(self, place_id: int, limit: int) -> tuple[IdArray, Float16Array]:
        """Return up to `limit` ids and descriptors beyond a place, ids ascending."""
        found, vectors = self._descriptors(
            "place_id > ? ORDER BY place_id LIMIT ?", (place_id, limit)
        )
        if (np.diff(found, prepend=place_id) <= 0).any():
            raise DamageError("its descriptors are not in order")
        return found, vectors

    def newest_descriptors(self, count: int) -> tuple[IdArray, Float16Array]:
        """Return the ids and descriptors of the newest places, newest first."""
        return self._descriptors("place_id > 0 ORDER BY place_id DESC LIMIT ?", (count,))

    def thumbnail(self, place_id: int) -> bytes | None:
        """Return the JPEG of a place, None where it has none; `KeyError` without that place."""
        crc32 = "thumbnail_crc32" if self._has_checksums else "NULL"
        row = self._connection.execute(
            f"SELECT {crc32}, jpeg FROM place LEFT JOIN thumbnail ON place_id = id WHERE id = ?",
            (place_id,),
        ).fetchone()
        if row is None:
            raise KeyError(place_id)
        return self._thumbnail(place_id, *row)

    def thumbnail_crc32(self, place_id: int) -> int | None:
        """Return the checksum of a place's JPEG as it is, None where it has none."""
        jpeg = self.thumbnail(place_id)
        return None if jpeg is None else zlib.crc32(jpeg)

    def thumbnails(self) -> Iterator[tuple[int, bytes | None]]:
        """Yield every place's id and JPEG."""
        crc32 = "thumbnail_crc32" if self._has_checksums else "NULL"
        query = (
            f"SELECT id, {crc32}, jpeg FROM place LEFT JOIN thumbnail ON place_id = id ORDER BY id"
        )
        with contextlib.closing(self._connection.execute(query)) as rows:
            for place_id, expected, jpeg in rows:
                yield place_id, self._thumbnail(place_id, expected, jpeg)

    def _thumbnail(self, place_id: int, crc32: Any, jpeg: Any) -> bytes | None:
        if not isinstance(jpeg, (bytes, type(None))):
            raise DamageError(f"place {place_id}: its thumbnail cannot be read")
        if self._has_checksums and crc32 != (None if jpeg is None else zlib.crc32(jpeg)):
            raise DamageError(f"place {place_id}: its thumbnail does not match its checksum")
        return jpeg

    def _descriptors(self, where: str, values: Sequence[Any]) -> tuple[IdArray, Float16Array]:
        checksum = "checksum" if self._has_checksums else "0"
        rows = self._connection.execute(
            f"SELECT place_id, float16, {checksum} FROM descriptor WHERE {where}", values
        ).fetchall()
        numbers, blobs, checksums = zip(*rows, strict=True) if rows else ((), (), ())
        ids = np.array(numbers, np.int64)
        vectors = self._vectors(ids, blobs)
        # Of all at once, as these are many numbers.
        if np.max(vectors.view(np.uint16) & _FLOAT16_EXPONENT, initial=0) == _FLOAT16_EXPONENT:
            _require(np.isfinite(vectors).all(axis=1), ids, "its descriptor is not finite")
        if self._has_checksums and (own := descriptor_checksums(ids, vectors).tolist()) != [
            *checksums
        ]:
            equal = [one == kept for one, kept in zip(own, checksums, strict=True)]
            _require(equal, ids, "its descriptor does not match its checksum")
        return ids, vectors

    def _vectors(self, ids: IdArray, blobs: Sequence[Any]) -> Float16Array:
        size = 2 * self._dimension
        if set(map(type, blobs)) - {bytes} or set(map(len, blobs)) - {size}:
            fits = [type(blob) is bytes and len(blob) == size for blob in blobs]
            _require(fits, ids, f"its descriptor has not {self._dimension} values")
        return np.frombuffer(b"".join(blobs), np.float16).reshape(-1, self._dimension)

    def _no_pose(self) -> DamageError:
        row = self._connection.execute(_NO_POSE).fetchone()
        place = f"place {row[0]}" if row else "a place"
        return DamageError(f"{place}: its position is no number")


def storable_name(text: str) -> str:
    """Return a name as the file keeps it: bytes that are no UTF-8 are written out."""
    return text.encode("utf-8", "backslashreplace").decode()


def _complete(ids: IdArray, places: int) -> IdArray:
    if len(ids) != places or (np.diff(ids, prepend=-1) <= 0).any():
        raise DamageError(f"it holds other places than the {places} that it should")
    return ids


def _require(good: ArrayLike, ids: IdArray, otherwise: str) -> None:
    bad = np.flatnonzero(~np.asarray(good, bool))
    if bad.size:
        raise DamageError(f"place {ids[bad[0]]}: {otherwise}")
