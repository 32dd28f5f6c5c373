"""The place map: places with their descriptors, the model that made them, and the datum.

A map is one SQLite file (`map_file`). While it is written, a log and a lock file lie beside it;
after the last program has closed it, the one file is the whole map.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import sqlite3
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from progeo_core.descriptors.fingerprint import ModelFingerprint
from progeo_core.errors import DataError, ModelMismatchError
from progeo_core.geo import Datum, FloatArray
from progeo_core.map.confidence_calibration import Calibration, ConfidenceCurve
from progeo_core.map.sqlite_file import check_name, create_file, explained, open_file
from progeo_core.map.write_lock import MapLock

IdArray = NDArray[np.int64]
Float16Array = NDArray[np.float16]

_READ_BLOCK = 4096
# Digits of a revision that stay the same for the life of a map; the others are drawn anew.
_LINEAGE = 16
_NUMBERS = np.dtype([("id", "i8"), ("x", "f8"), ("y", "f8"), ("z", "f8"), ("yaw", "f8")])


class Places(NamedTuple):
    """Hold the columns of places to append.

    position: [n, 3] metres in frame map. yaw_rad: [n] counter-clockwise from east, NaN unknown.
    stamp_ns: [n] nanoseconds, 0 unknown. camera, traverse, image: n names, "" unknown.
    thumbnail: n JPEGs, None where there is none.
    """

    position: FloatArray
    yaw_rad: FloatArray
    stamp_ns: NDArray[np.int64]
    camera: Sequence[str]
    traverse: Sequence[str]
    image: Sequence[str]
    thumbnail: Sequence[bytes | None]


class PlacePoses(NamedTuple):
    """Hold where the places of a map are, one row each, ids ascending; columns as in `Places`."""

    ids: IdArray
    position: FloatArray
    yaw_rad: FloatArray

    def rows_of(self, ids: ArrayLike) -> IdArray:
        """Return the row of every place id, in the shape given; -1 (padding) stays -1.

        Raises `DataError` naming an id that is not in the table.
        """
        wanted = np.asarray(ids, np.int64)
        rows = np.searchsorted(self.ids, wanted)
        found = np.zeros(wanted.shape, bool)
        if self.ids.size:
            found = self.ids.take(rows, mode="clip") == wanted
        missing = wanted[~found & (wanted != -1)]
        if missing.size:
            raise DataError(f"place {missing[0]} is not in the map")
        return np.where(found, rows, -1)


class PlaceTable(NamedTuple):
    """Hold all that is known of a map's places, one row each; columns as in `Places`."""

    ids: IdArray
    position: FloatArray
    yaw_rad: FloatArray
    stamp_ns: NDArray[np.int64]
    camera: tuple[str, ...]
    traverse: tuple[str, ...]
    image: tuple[str, ...]

    @property
    def poses(self) -> PlacePoses:
        """Return where the places are."""
        return PlacePoses(self.ids, self.position, self.yaw_rad)


class PlaceMap:
    """Read and extend one map file; make one with `create` or `open`, and close it after use.

    A read-only map is a snapshot of the moment it was opened. A writable one is the only one:
    another writer is refused until it is closed or its process ends. Threads may share a map.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection, lock: MapLock | None) -> None:
        """Take over an open connection and, for a writable map, its lock."""
        self.path = path
        self._connection = connection
        self._lock = lock
        self._threads = threading.RLock()
        self._revision: str
        with self._guarded():
            row = connection.execute("SELECT * FROM map").fetchone()
        try:
            _, fingerprint, *datum, self._revision = row
            self.fingerprint = ModelFingerprint(**json.loads(fingerprint))
        except (TypeError, ValueError) as error:
            raise self._damaged("what it says of its model cannot be read") from error
        self.datum: Datum | None = None if None in datum else Datum(*datum)

    @classmethod
    def create(
        cls, path: str | Path, fingerprint: ModelFingerprint, datum: Datum | None = None
    ) -> PlaceMap:
        """Make an empty map and open it for writing; a datum of None makes it purely local.

        Raises `DataError` where a file exists already or the folder cannot be written, and
        `UsageError` for a name that does not end in .progeo.
        """
        path = Path(path)
        check_name(path)
        return cls._locked(path, create=(fingerprint, datum))

    @classmethod
    def open(cls, path: str | Path, writable: bool = False) -> PlaceMap:
        """Open a map; raise `DataError` saying what is wrong with it.

        That is: missing, damaged, of a newer schema, not a map, or (writable) in a read-only folder
        or being written by another program.
        """
        path = Path(path)
        check_name(path)
        if not writable:
            return cls._opened(path, None)
        return cls._locked(path, create=None)

    @classmethod
    def _locked(cls, path: Path, create: tuple[ModelFingerprint, Datum | None] | None) -> PlaceMap:
        lock = MapLock(path)
        try:
            if create is not None:
                create_file(path, json.dumps(dataclasses.asdict(create[0])), create[1])
            return cls._opened(path, lock)
        except BaseException:
            lock.release()
            raise

    @classmethod
    def _opened(cls, path: Path, lock: MapLock | None) -> PlaceMap:
        connection = open_file(path, writable=lock is not None)
        try:
            return cls(path, connection, lock)
        except BaseException:
            connection.close()
            raise

    def close(self) -> None:
        """Close the file and let another program write it; a second call does nothing."""
        with self._threads:
            self._connection.close()
            if self._lock is not None:
                self._lock.release()

    def __enter__(self) -> PlaceMap:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __len__(self) -> int:
        with self._guarded():
            return int(self._connection.execute("SELECT count(*) FROM place").fetchone()[0])

    @property
    def writable(self) -> bool:
        """Say whether this map was opened for writing."""
        return self._lock is not None

    @property
    def revision(self) -> str:
        """Return a random name of the content, another one after every change."""
        return self._revision

    def is_earlier(self, revision: str) -> bool:
        """Say whether a revision may be this content or an earlier one of this map."""
        return revision[:_LINEAGE] == self._revision[:_LINEAGE]

    def require_model(self, fingerprint: ModelFingerprint) -> None:
        """Raise `ModelMismatchError` with both names unless the map was made with this model."""
        if fingerprint != self.fingerprint:
            raise ModelMismatchError(
                f"{self.path}: the map was made with {self.fingerprint}, but the model in use is"
                f" {fingerprint}; choose that model, or build the map again with this one"
            )

    def append(self, places: Places, descriptors: ArrayLike) -> IdArray:
        """Add places with descriptors [n, D] in one transaction; return their ids [n], ascending.

        All of them are in the map when this returns, and none of them if it raises or the process
        dies on the way. Descriptors are kept as float16. Raises `DataError` for columns of unequal
        length, another dimension, a position or descriptor that is not finite, or a failing disk.
        """
        vectors = self._checked(places, np.asarray(descriptors))
        with self._changing():
            first = 1 + self._highest_id()
            ids = np.arange(first, first + len(vectors), dtype=np.int64)
            numbers = np.column_stack([places.position, places.yaw_rad]).tolist()
            stamps = np.asarray(places.stamp_ns).tolist()
            names = zip(places.camera, places.traverse, places.image, strict=True)
            self._connection.executemany(
                "INSERT INTO place VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    (place_id, *row, stamp, *name)
                    for place_id, row, stamp, name in zip(
                        ids.tolist(), numbers, stamps, names, strict=True
                    )
                ),
            )
            self._connection.executemany(
                "INSERT INTO descriptor VALUES (?, ?)",
                ((int(i), vector.tobytes()) for i, vector in zip(ids, vectors, strict=True)),
            )
            self._connection.executemany(
                "INSERT INTO thumbnail VALUES (?, ?)",
                ((int(i), t) for i, t in zip(ids, places.thumbnail, strict=True) if t is not None),
            )
        return ids

    def delete(self, ids: ArrayLike) -> None:
        """Remove places in one transaction; their ids are never given again."""
        with self._changing():
            self._connection.executemany(
                "DELETE FROM place WHERE id = ?", ((i,) for i in np.asarray(ids, np.int64).tolist())
            )

    def compact(self) -> None:
        """Give the room of deleted places back to the disk; needs as much free for a while."""
        self._require_writable()
        with self._guarded():
            self._connection.execute("VACUUM")
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def ids(self) -> IdArray:
        """Return the ids of all places, ascending."""
        with self._guarded():
            rows = self._connection.execute("SELECT place_id FROM descriptor ORDER BY place_id")
            return np.fromiter((row[0] for row in rows), np.int64)

    def poses(self) -> PlacePoses:
        """Return where all places are; about a second for a million."""
        with self._guarded():
            return self._poses()

    def places(self) -> PlaceTable:
        """Return all places without descriptors and thumbnails; about 2 s for a million."""
        with self._guarded():
            # Two passes keep a million rows of Python objects out of memory.
            poses = self._poses()
            rows = self._connection.execute(
                "SELECT stamp_ns, camera, traverse, image FROM place ORDER BY id"
            ).fetchall()
        stamp_ns, camera, traverse, image = zip(*rows, strict=True) if rows else ((), (), (), ())
        return PlaceTable(
            *poses,
            stamp_ns=np.array(stamp_ns, np.int64),
            # Few names for many places: one object each.
            camera=tuple(map(sys.intern, camera)),
            traverse=tuple(map(sys.intern, traverse)),
            image=image,
        )

    def images(self, ids: Sequence[int]) -> list[str]:
        """Return the names of the images of places, in that order."""
        with self._guarded():
            names = dict(
                self._connection.execute(
                    "SELECT id, image FROM place WHERE id IN (SELECT value FROM json_each(?))",
                    (json.dumps(ids),),
                )
            )
        return [names[place_id] for place_id in ids]

    def has_several_cameras(self) -> bool:
        """Say whether places are of more than one camera."""
        with self._guarded():
            first, last = self._connection.execute(
                "SELECT min(camera), max(camera) FROM place"
            ).fetchone()
        return bool(first != last)

    def _poses(self) -> PlacePoses:
        numbers = np.fromiter(
            self._connection.execute("SELECT id, x_m, y_m, z_m, yaw_rad FROM place ORDER BY id"),
            _NUMBERS,
        )
        return PlacePoses(
            ids=numbers["id"].copy(),
            position=np.stack([numbers["x"], numbers["y"], numbers["z"]], axis=-1),
            yaw_rad=numbers["yaw"].copy(),
        )

    def descriptors(self, ids: ArrayLike | None = None) -> Float16Array:
        """Return the descriptors [n, D] of `ids` in that order, or of all places in id order.

        Raises `DataError` naming an id that is not in the map.
        """
        if ids is None:
            blocks = [block for _, block in self.descriptor_blocks(_READ_BLOCK)]
            return np.concatenate([self._vectors(()), *blocks])
        wanted = np.asarray(ids, np.int64).tolist()
        with self._guarded():
            # One question for all of them takes a fifth of the time of one for each.
            found = dict(
                self._connection.execute(
                    "SELECT place_id, float16 FROM descriptor"
                    " WHERE place_id IN (SELECT value FROM json_each(?))",
                    (json.dumps(wanted),),
                )
            )
        try:
            return self._vectors(found[place_id] for place_id in wanted)
        except KeyError as error:
            raise DataError(f"{self.path}: place {error} is not in the map") from None

    def descriptor_blocks(self, size: int) -> Iterator[tuple[IdArray, Float16Array]]:
        """Yield all ids [b] with descriptors [b, D], ids ascending, at most `size` at a time."""
        after = 0
        while True:
            with self._guarded():
                rows = self._connection.execute(
                    "SELECT place_id, float16 FROM descriptor WHERE place_id > ?"
                    " ORDER BY place_id LIMIT ?",
                    (after, size),
                ).fetchall()
            if not rows:
                return
            after = rows[-1][0]
            ids = np.array([row[0] for row in rows], np.int64)
            yield ids, self._vectors(row[1] for row in rows)

    def newest_descriptors(self, count: int) -> tuple[IdArray, Float16Array]:
        """Return the ids and descriptors of the `count` newest places, newest first."""
        with self._guarded():
            rows = self._connection.execute(
                "SELECT place_id, float16 FROM descriptor ORDER BY place_id DESC LIMIT ?", (count,)
            ).fetchall()
        return np.array([row[0] for row in rows], np.int64), self._vectors(row[1] for row in rows)

    def thumbnail(self, place_id: int) -> bytes | None:
        """Return the JPEG of a place, None where it has none."""
        with self._guarded():
            row = self._connection.execute(
                "SELECT jpeg FROM thumbnail WHERE place_id = ?", (int(place_id),)
            ).fetchone()
        return None if row is None else bytes(row[0])

    def calibration(self) -> Calibration | None:
        """Return what confidences of this map mean, None where that was never fitted."""
        with self._guarded():
            made = self._connection.execute(
                "SELECT 1 FROM sqlite_master WHERE name = 'calibration'"
            ).fetchone()
            query = "SELECT log_odds_offset, slope FROM calibration ORDER BY kind DESC"
            rows = self._connection.execute(query).fetchall() if made else []
        return Calibration(*(ConfidenceCurve(*row) for row in rows)) if len(rows) == 2 else None

    def set_calibration(self, calibration: Calibration) -> None:
        """Keep what confidences of this map mean; older programs still read the map."""
        self._require_writable()
        with self._guarded(), self._connection:
            self._connection.execute(
                "CREATE TABLE IF NOT EXISTS calibration (kind TEXT PRIMARY KEY,"
                " log_odds_offset REAL NOT NULL, slope REAL NOT NULL)"
            )
            self._connection.executemany(
                "INSERT OR REPLACE INTO calibration VALUES (?, ?, ?)",
                ((kind, *curve) for kind, curve in calibration._asdict().items()),
            )

    def verify(self) -> None:
        """Read the whole file and raise `DataError` where it is damaged; seconds per gigabyte."""
        with self._guarded():
            (answer,) = self._connection.execute("PRAGMA quick_check(1)").fetchone()
            (orphans,) = self._connection.execute(
                "SELECT (SELECT count(*) FROM place) - (SELECT count(*) FROM descriptor)"
            ).fetchone()
        if answer != "ok" or orphans:
            found = answer if answer != "ok" else f"{orphans} places lack a descriptor"
            raise self._damaged(found)

    @contextlib.contextmanager
    def _guarded(self) -> Iterator[None]:
        with self._threads, explained(self.path):
            yield

    @contextlib.contextmanager
    def _changing(self) -> Iterator[None]:
        """Run the block as one transaction that ends with a new revision, or leaves no trace."""
        self._require_writable()
        with self._guarded():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                (revision,) = self._connection.execute(
                    f"UPDATE map SET revision = substr(revision, 1, {_LINEAGE})"
                    " || lower(hex(randomblob(8))) RETURNING revision"
                ).fetchone()
                self._connection.execute("COMMIT")
            except BaseException:
                # A full disk makes SQLite roll back by itself.
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
            self._revision = revision

    def _damaged(self, what: str) -> DataError:
        return DataError(
            f"{self.path}: the map is damaged; restore a copy of it or build it again ({what})"
        )

    def _require_writable(self) -> None:
        if not self.writable:
            raise DataError(f"{self.path}: the map is open read-only; open it for writing")

    def _checked(self, places: Places, descriptors: NDArray[np.generic]) -> Float16Array:
        """Return descriptors as float16 after checking that they and the columns make sense."""
        count, dimension = len(places.position), self.fingerprint.dimension
        if any(len(column) != count for column in (*places, descriptors)):
            lengths = [len(column) for column in (*places, descriptors)]
            raise DataError(
                f"{self.path}: columns of unequal length {lengths}; append one row each"
            )
        if descriptors.shape != (count, dimension):
            raise DataError(
                f"{self.path}: descriptors of shape {list(descriptors.shape)}, but the map's model"
                f" {self.fingerprint} gives {dimension} values each"
            )
        with np.errstate(over="ignore"):
            vectors = descriptors.astype(np.float16)
        for what, rows in (("position", places.position), ("descriptor", vectors)):
            bad = np.flatnonzero(~np.isfinite(np.asarray(rows, np.float64)).all(axis=1))
            if bad.size:
                name = places.image[bad[0]] or f"row {bad[0]}"
                raise DataError(
                    f"{self.path}: the {what} of {name} is not finite; leave this place out"
                )
        return vectors

    def _highest_id(self) -> int:
        row = self._connection.execute("SELECT seq FROM sqlite_sequence").fetchone()
        return 0 if row is None else int(row[0])

    def _vectors(self, blobs: Iterable[bytes]) -> Float16Array:
        """Return the descriptors [n, D] stored in n blobs."""
        data, dimension = b"".join(blobs), self.fingerprint.dimension
        if len(data) % (2 * dimension):
            raise self._damaged(f"a descriptor has not {dimension} values")
        return np.frombuffer(data, np.float16).reshape(-1, dimension)
