"""The place map: places with their descriptors, the model that made them, and the datum.

A map is one SQLite file (`sqlite_file`). While it is written, a log and a lock file lie beside it;
after the last program has closed it, the one file is the whole map.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from progeo_core.descriptors.fingerprint import ModelFingerprint
from progeo_core.descriptors.projection import Projection
from progeo_core.errors import DataError, ModelMismatchError, UsageError
from progeo_core.geo import Datum
from progeo_core.map.confidence_calibration import Calibration
from progeo_core.map.leftovers import remove_leftovers
from progeo_core.map.map_header import (
    MapHeader,
    new_revision,
    next_revision,
    read_header,
    write_header,
)
from progeo_core.map.place_checks import check_views, checked_vectors
from progeo_core.map.place_features import PlaceView, StructureNote, joined_structure
from progeo_core.map.place_rows import PlaceRows, storable_name
from progeo_core.map.places import (
    Float16Array,
    IdArray,
    PlacePoses,
    Places,
    PlaceTable,
)
from progeo_core.map.projection_row import read_projection, write_projection
from progeo_core.map.schema import PROJECTED, VERSION
from progeo_core.map.sqlite_file import (
    OpenFile,
    check_name,
    create_file,
    explained,
    leave_out_log,
    open_file,
    time_limit,
)
from progeo_core.map.upgrade import upgrade_file, upgrade_if_possible
from progeo_core.map.view_rows import ViewCounts, ViewRows, ViewTable
from progeo_core.map.write_lock import MapLock

__all__ = ["Float16Array", "IdArray", "PlaceMap", "PlacePoses", "PlaceTable", "Places"]

_READ_BLOCK = 4096
# Places whose local features are in memory at a time.
_VIEW_BLOCK = 256


class PlaceMap:
    """One open map file; make it with `create` or `open`, and close it after use.

    A read-only map is a snapshot of the moment it was opened. A writable one is the only one:
    another writer is refused until it is closed or its process ends. Threads may share a map. Every
    row is compared with its checksum when it is read: `DataError` names the file and the place.
    """

    def __init__(self, path: Path, file: OpenFile, lock: MapLock | None) -> None:
        """Take over an open file and, for a writable map, its lock."""
        self.path = path
        self._connection, self._version, self._lock = *file, lock
        self._threads = threading.RLock()
        self._real_path = path.resolve()
        self._identity = self._real_path.stat()
        self._log_path = self._real_path.with_name(f"{self._real_path.name}-wal")
        self._has_log = True
        with self._guarded(), time_limit(file.connection):
            self._header = read_header(file.connection, file.version)
            self._projection = read_projection(
                file.connection, file.version, self._header.fingerprint.dimension
            )
        self.fingerprint = self._header.fingerprint
        self.datum: Datum | None = self._header.datum
        self._rows = PlaceRows(file.connection, file.version, self.dimension)
        self._poses: PlacePoses | None = None
        self._views = ViewRows(file.connection, file.version)

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
        header = MapHeader(fingerprint, datum, None, new_revision(), 0, 0, False)
        with _released_on_error(MapLock(path)) as lock:
            remove_leftovers(path)
            create_file(path, lambda connection: write_header(connection, header))
            return cls._opened(path, lock)

    @classmethod
    def open(cls, path: str | Path, writable: bool = False) -> PlaceMap:
        """Open a map; raise `DataError` saying what is wrong with it.

        That is: missing, damaged, of a newer schema, not a map, or (writable) in a read-only
        folder, under a second name, or being written by another program. A map of an older schema
        is upgraded first; where it cannot be written, it is read as it is.
        """
        path = Path(path)
        check_name(path)
        if not writable:
            opened = cls._opened(path, None)
            if opened._version < VERSION:
                opened.close()
                upgrade_if_possible(path)
                return cls._opened(path, None)
            return opened
        with _released_on_error(MapLock(path)) as lock:
            lock.require_one_name()
            remove_leftovers(path)
            opened = cls._opened(path, lock)
            if opened._version < VERSION:
                opened._connection.close()
                upgrade_file(path)
                return cls._opened(path, lock)
            return opened

    @classmethod
    def _opened(cls, path: Path, lock: MapLock | None) -> PlaceMap:
        file = open_file(path, writable=lock is not None)
        try:
            return cls(path, file, lock)
        except BaseException:
            file.connection.close()
            raise

    def close(self) -> None:
        """Close the file and let another program write it; a second call does nothing."""
        with self._threads:
            self._connection.close()
            if self._lock is not None:
                self._lock.release()

    def discard(self) -> None:
        """Close the map and remove its file, unless another file has its name by now."""
        self._require_writable()
        with self._threads, explained(self.path):
            self._connection.close()
            if self._is_in_place():
                self._real_path.unlink()
            self.close()

    def __enter__(self) -> PlaceMap:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __len__(self) -> int:
        with self._threads:
            return self._header.places

    @property
    def writable(self) -> bool:
        """Whether this map was opened for writing."""
        return self._lock is not None

    @property
    def revision(self) -> str:
        """Return a random name of the content, another one after every change."""
        with self._threads:
            return self._header.revision

    def is_earlier(self, revision: str) -> bool:
        """Whether a revision may be this content or an earlier one of this map."""
        return self._header.is_lineage_of(revision)

    @property
    def lineage(self) -> str:
        """Return a random name that stays for the life of the map, and is that of its copies."""
        return self._header.lineage

    @property
    def dimension(self) -> int:
        """Return the number of values that the map keeps of a descriptor."""
        projection = self._projection
        return self.fingerprint.dimension if projection is None else projection.dimension

    @property
    def projection(self) -> Projection | None:
        """Return what shortens the descriptors of the model, None where they are kept whole."""
        return self._projection

    def shortened(self, descriptors: NDArray[np.floating]) -> NDArray[np.floating]:
        """Return descriptors [n, D] of the model as the map keeps them; others are left as is."""
        projection = self._projection
        if projection is None or descriptors.shape[1:] != (self.fingerprint.dimension,):
            return descriptors
        return projection.apply(descriptors)

    def shorten(self, projection: Projection) -> None:
        """Keep shortened descriptors from now on, those of all places included.

        In one transaction; `compact` then gives the room back. Raises `UsageError` for a map that
        keeps shortened ones already, or a projection of descriptors of another length.
        """
        long = projection.components.shape[1]
        if self._projection is not None or long != self.fingerprint.dimension:
            raise UsageError(
                f"{self.path}: its descriptors of {self.dimension} values cannot be shortened by a"
                f" projection from {long} values"
            )
        with self._changing():
            write_projection(self._connection, projection)
            after = 0
            while True:
                ids, vectors = self._rows.descriptors_after(after, _READ_BLOCK)
                if not len(ids):
                    break
                self._rows.replace_descriptors(ids, projection.apply(vectors).astype(np.float16))
                after = int(ids[-1])
        with self._threads:
            self._version, self._projection = PROJECTED, projection
            self._rows = PlaceRows(self._connection, self._version, self.dimension)

    def require_model(self, fingerprint: ModelFingerprint) -> None:
        """Raise `ModelMismatchError` with both names unless the map was made with this model."""
        if fingerprint != self.fingerprint:
            raise ModelMismatchError(
                f"{self.path}: the map was made with {self.fingerprint}, but the model in use is"
                f" {fingerprint}; choose that model, or build the map again with this one"
            )

    def append(self, places: Places, descriptors: ArrayLike) -> IdArray:
        """Add places with descriptors [n, D] in one transaction; return their ids [n], ascending.

        Descriptors are those of the model, or as the map keeps them already.
        All of them are in the map when this returns, and none of them if it raises or the process
        dies on the way. Descriptors are kept as float16. Raises `DataError` for columns of unequal
        length, another dimension, a position, yaw, descriptor or view that is not finite, a failing
        disk, or a file that was moved or removed meanwhile.
        """
        places = places._replace(views=places.views or (None,) * len(places.position))
        kept = self.shortened(np.asarray(descriptors))
        vectors = checked_vectors(self.path, places, kept, self.fingerprint, self.dimension)
        check_views(self.path, places.views, places.image)
        with self._changing():
            header = self._header
            ids = np.arange(header.last_id + 1, header.last_id + 1 + len(vectors), dtype=np.int64)
            position = np.asarray(places.position, np.float64)
            views = self._views.rows_of(PlacePoses(ids, position, places.yaw_rad), places.views)
            self._rows.insert(ids, places, vectors, [row and row.crc32 for row in views])
            self._views.insert(views)
            self._header = header._replace(
                places=header.places + len(ids),
                last_id=header.last_id + len(ids),
                several_cameras=header.several_cameras or self._adds_a_camera(places),
            )
        return ids

    def delete(self, ids: ArrayLike) -> None:
        """Remove places in one transaction; their ids are never given again."""
        with self._changing():
            gone = self._rows.delete(np.asarray(ids, np.int64))
            places = self._header.places - gone
            several = self._header.several_cameras and self._has_several_cameras(places)
            self._header = self._header._replace(places=places, several_cameras=several)

    def compact(self) -> None:
        """Give the room of deleted places back to the disk; needs as much free for a while."""
        with self._changing(content=False):
            self._views.delete_unused_calibrations()
        with self._guarded():
            self._connection.execute("VACUUM")
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def leave_out_log(self) -> None:
        """Write half as much from now on; see `sqlite_file.leave_out_log`."""
        with self._guarded():
            leave_out_log(self._connection)
            self._has_log = False

    def ids(self) -> IdArray:
        """Return the ids of all places, ascending; read as `poses` are."""
        return self.poses().ids

    def poses(self) -> PlacePoses:
        """Return where all places are, as arrays that cannot be written.

        The first time takes about two seconds for a million; they are kept until places change.
        """
        with self._guarded():
            if self._poses is None:
                self._poses = self._rows.poses(self._header.places)
            return self._poses

    def places(self) -> PlaceTable:
        """Return all places without descriptors and thumbnails; some seconds for a million."""
        with self._guarded():
            # Two passes keep a million rows of Python objects out of memory.
            poses = self.poses()
            # Few names for many places: one object each.
            rows = [
                (label.stamp_ns, sys.intern(label.camera), sys.intern(label.traverse), label.image)
                for label in self._rows.labels(self._header.places)
            ]
        if len(rows) != len(poses.ids):
            raise self._damaged("its names are not those of its places")
        stamp_ns, camera, traverse, image = zip(*rows, strict=True) if rows else ((), (), (), ())
        return PlaceTable(
            *poses,
            stamp_ns=np.array(stamp_ns, np.int64),
            camera=camera,
            traverse=traverse,
            image=image,
        )

    def images(self, ids: Sequence[int]) -> list[str]:
        """Return the names of the images of places, in that order; `DataError` for another id."""
        with self._guarded():
            names = {label.place_id: label.image for label in self._rows.labels_of(ids)}
        try:
            return [names[place_id] for place_id in ids]
        except KeyError as error:
            raise DataError(f"{self.path}: place {error} is not in the map") from None

    def has_several_cameras(self) -> bool:
        """Whether places are of more than one camera."""
        with self._threads:
            return self._header.several_cameras

    def descriptors(self, ids: ArrayLike | None = None) -> Float16Array:
        """Return the descriptors [n, D] of `ids` in that order, or of all places in id order.

        Raises `DataError` naming an id that is not in the map.
        """
        if ids is None:
            empty = np.empty((0, self.dimension), np.float16)
            return np.concatenate([empty, *(one for _, one in self.descriptor_blocks(_READ_BLOCK))])
        wanted = np.asarray(ids, np.int64)
        with self._guarded():
            found, vectors = self._rows.descriptors(wanted.tolist())
        rows = {place_id: row for row, place_id in enumerate(found.tolist())}
        try:
            chosen = [rows[place_id] for place_id in wanted.tolist()]
        except KeyError as error:
            raise DataError(f"{self.path}: place {error} is not in the map") from None
        return vectors[chosen]

    def descriptor_blocks(self, size: int) -> Iterator[tuple[IdArray, Float16Array]]:
        """Yield all ids [b] with descriptors [b, D], ids ascending, at most `size` at a time."""
        after = read = 0
        while True:
            with self._guarded():
                ids, vectors = self._rows.descriptors_after(after, size)
                places = self._header.places
            if not len(ids):
                break
            after, read = int(ids[-1]), read + len(ids)
            yield ids, vectors
        # A writer may have deleted some meanwhile.
        if read < places:
            raise self._damaged(f"it holds {read} descriptors of {places} places")

    def newest_descriptors(self, count: int) -> tuple[IdArray, Float16Array]:
        """Return the ids and descriptors of the `count` newest places, newest first."""
        with self._guarded():
            return self._rows.newest_descriptors(count)

    def thumbnail(self, place_id: int) -> bytes | None:
        """Return the JPEG of a place, None where it has none; `DataError` for another id."""
        try:
            with self._guarded():
                return self._rows.thumbnail(int(place_id))
        except KeyError:
            raise DataError(f"{self.path}: place {place_id} is not in the map") from None

    @property
    def has_views(self) -> bool:
        """Whether the map knows more of any place's image than its descriptor."""
        with self._guarded():
            return bool(self._views)

    @property
    def has_landmarks(self) -> bool:
        """Whether the map has 3-D points; where it has none, this reads a little of every place."""
        with self._guarded():
            return self._views.has_landmarks

    def views(self, ids: Sequence[int] | IdArray) -> list[PlaceView | None]:
        """Return what is known of the images of places, in that order, None where nothing is.

        Raises `DataError` for another id.
        """
        wanted = np.asarray(ids, np.int64).tolist()
        with self._guarded():
            found = self._views.read(self._rows.poses_of(wanted))
        try:
            return [found[place_id] for place_id in wanted]
        except KeyError as error:
            raise DataError(f"{self.path}: place {error} is not in the map") from None

    def set_views(self, ids: Sequence[int] | IdArray, views: Sequence[PlaceView | None]) -> None:
        """Replace what is known of the images of places, in one transaction; None removes it.

        Raises `DataError` for another id, for one that is given twice, and for a view that is not
        finite.
        """
        wanted = np.asarray(ids, np.int64).tolist()
        given = dict(zip(wanted, views, strict=True))
        check_views(self.path, views, [f"place {place_id}" for place_id in wanted])
        with self._changing(content=False):
            poses = self._rows.poses_of(wanted)
            missing = sorted(set(given) - set(poses.ids.tolist()))
            if missing:
                raise DataError(f"{self.path}: place {missing[0]} is not in the map")
            if len(given) < len(wanted):
                raise DataError(f"{self.path}: a place is named twice")
            rows = self._views.rows_of(poses, [given[place_id] for place_id in poses.ids.tolist()])
            self._views.delete(wanted)
            self._rows.set_view_checksums(
                {i: row and row.crc32 for i, row in zip(poses.ids.tolist(), rows, strict=True)}
            )
            self._views.insert(rows)

    def view_table(self) -> ViewTable:
        """Return what is known of the images of all places that have a view, without features.

        Read the views themselves before these numbers count: checksums are compared only there.
        """
        with self._guarded():
            return self._views.table()

    def view_counts(self) -> ViewCounts:
        """Return how many places have local features and 3-D points, and how large these are."""
        with self._guarded():
            return self._views.counts()

    @property
    def structure(self) -> StructureNote | None:
        """Return what made the map's local features and 3-D points, None where there are none."""
        with self._threads:
            return self._header.structure

    def set_structure(self, structure: StructureNote | None) -> None:
        """Keep what made the map's local features and 3-D points, in one transaction."""
        with self._changing(content=False):
            self._header = self._header._replace(structure=structure)

    def add_structure(self, structure: StructureNote) -> None:
        """Say that views of this kind are added; `UsageError` where the map's are of another."""
        try:
            joined = joined_structure(self.structure, structure)
        except UsageError as error:
            raise UsageError(f"{self.path}: {error}") from None
        if joined != self.structure:
            self.set_structure(joined)

    def calibration(self) -> Calibration | None:
        """Return what confidences of this map mean, None where that was never fitted."""
        with self._threads:
            return self._header.calibration

    def set_calibration(self, calibration: Calibration) -> None:
        """Keep what confidences of this map mean, in one transaction."""
        with self._changing(content=False):
            self._header = self._header._replace(calibration=calibration)

    def verify(self) -> None:
        """Read the whole file and raise `DataError` where it is damaged; seconds per gigabyte."""
        with self._guarded():
            (answer,) = self._connection.execute("PRAGMA quick_check(1)").fetchone()
        if answer != "ok":
            raise self._damaged(answer)
        with self._threads:
            self._poses = None
        ids = self.places().ids
        described = [block for block, _ in self.descriptor_blocks(_READ_BLOCK)]
        if not np.array_equal(ids, np.concatenate([ids[:0], *described])):
            raise self._damaged("its descriptors are those of other places")
        with self._guarded():
            thumbnails = sum(jpeg is not None for _, jpeg in self._rows.thumbnails())
            (found,) = self._connection.execute("SELECT count(*) FROM thumbnail").fetchone()
        if found != thumbnails:
            raise self._damaged(f"{found - thumbnails} thumbnails are of places that it lacks")
        viewed = 0
        for start in range(0, len(ids), _VIEW_BLOCK):
            viewed += sum(view is not None for view in self.views(ids[start : start + _VIEW_BLOCK]))
        with self._guarded():
            self._views.calibrations()
            found = self._views.rows()
        if found != viewed:
            raise self._damaged(f"{found - viewed} views are of places that it lacks")

    @contextlib.contextmanager
    def _guarded(self) -> Iterator[None]:
        with self._threads, explained(self.path):
            yield

    @contextlib.contextmanager
    def _changing(self, content: bool = True) -> Iterator[None]:
        """Run the block as one transaction that writes `self._header`, or leaves no trace.

        content: whether the places change, and the revision with them.
        """
        self._require_writable()
        with self._guarded():
            before = self._header
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                if content:
                    self._header = self._header._replace(revision=next_revision(before.revision))
                write_header(self._connection, self._header)
                self._connection.execute("COMMIT")
                if content:
                    self._poses = None
            except BaseException:
                self._header = before
                # A full disk makes SQLite roll back by itself.
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
            # What is written reaches the log first, which is found by its name, too.
            if not (self._is_in_place() and self._has_log == self._log_path.exists()):
                raise DataError(
                    f"{self.path}: the map was moved, replaced or removed while it was written;"
                    " what this program writes from now on is lost: open the map again"
                )

    def _is_in_place(self) -> bool:
        """Whether the map's path still leads to the file that is open."""
        try:
            return os.path.samestat(self._real_path.stat(), self._identity)
        except OSError:
            return False

    def _adds_a_camera(self, places: Places) -> bool:
        cameras = set(map(storable_name, places.camera))
        if self._header.places and cameras:
            cameras.add(next(self._rows.labels(0)).camera)
        return len(cameras) > 1

    def _has_several_cameras(self, places: int) -> bool:
        return len({label.camera for label in self._rows.labels(places)}) > 1

    def _damaged(self, what: str) -> DataError:
        return DataError(
            f"{self.path}: the map is damaged; restore a copy of it or build it again ({what})"
        )

    def _require_writable(self) -> None:
        if not self.writable:
            raise DataError(f"{self.path}: the map is open read-only; open it for writing")


@contextlib.contextmanager
def _released_on_error(lock: MapLock) -> Iterator[MapLock]:
    try:
        yield lock
    except BaseException:
        lock.release()
        raise
