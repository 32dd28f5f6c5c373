"""Rows of views in a map file: cameras' calibrations, and what is known of each place's image.

Everything here is called with the map's transactions and locks in hand, and raises `DamageError`
naming the place whose row is not as it was written. The checksum of a view lies with its place, so
that a lost one is noticed.
"""

from __future__ import annotations

import contextlib
import json
import math
import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from progeo_core.errors import DataError
from progeo_core.geo import FloatArray
from progeo_core.map.checksums import fields_checksum
from progeo_core.map.feature_blob import (
    BYTES_PER_FEATURE,
    FeatureBlob,
    pack_features,
    unpack_features,
)
from progeo_core.map.place_features import PlaceFeatures, PlaceView, fault_of
from progeo_core.map.places import IdArray, PlacePoses
from progeo_core.map.schema import VIEWS_SINCE
from progeo_core.map.sqlite_file import DamageError

if TYPE_CHECKING:
    from progeo_core.images.intrinsics import Intrinsics
    from progeo_core.poses.camera_pose import CameraPose

# Of a view's row.
_COLUMNS = 13
_UNKNOWN_POSE = (None,) * 7
_NO_FEATURES = (None,) * 4


class ViewRow(NamedTuple):
    """One view as the file keeps it; fields: the values of the row's columns after the id."""

    place_id: int
    fields: tuple[Any, ...]

    @property
    def crc32(self) -> int:
        """Return the checksum of the row."""
        *numbers, features = self.fields
        start = fields_checksum(self.place_id, *numbers)
        return zlib.crc32(features, start) if isinstance(features, bytes) else start


class ViewCounts(NamedTuple):
    """Numbers of places with features and with 3-D points, bytes of features, calibrations."""

    places: int
    with_landmarks: int
    feature_bytes: int
    calibrations: int

    @property
    def bytes_per_place(self) -> int:
        """Return the bytes of features of an average place that has any, 0 without one."""
        return round(self.feature_bytes / max(1, self.places))


class ViewTable(NamedTuple):
    """What is known of the images of all places that have a view, one row each, ids ascending.

    position: [n, 3] (m) and orientation: [n, 4] of the camera, NaN unknown. calibrated: [n] whether
    the calibration is known. features, landmarks: [n] how many there are.
    """

    ids: IdArray
    position: FloatArray
    orientation: FloatArray
    calibrated: NDArray[np.bool_]
    features: NDArray[np.int64]
    landmarks: NDArray[np.int64]


class ViewRows:
    """Rows of the views of one open map file."""

    def __init__(self, connection: sqlite3.Connection, version: int) -> None:
        """Take the open file and the version of its schema."""
        self._connection = connection
        self._has_views = version >= VIEWS_SINCE

    def __bool__(self) -> bool:
        """Whether any place has a view."""
        query = "SELECT EXISTS (SELECT 1 FROM place_view)"
        return self._has_views and bool(self._connection.execute(query).fetchone()[0])

    @property
    def has_landmarks(self) -> bool:
        """Whether any place has 3-D points."""
        query = "SELECT EXISTS (SELECT 1 FROM place_view WHERE landmarks > 0)"
        return self._has_views and bool(self._connection.execute(query).fetchone()[0])

    def rows_of(self, poses: PlacePoses, views: Sequence[PlaceView | None]) -> list[ViewRow | None]:
        """Return the rows of sound views, None for none; their calibrations are written."""
        return [
            None if view is None else self._row(place_id, position, view)
            for place_id, position, view in zip(
                poses.ids.tolist(), poses.position, views, strict=True
            )
        ]

    def insert(self, rows: Sequence[ViewRow | None]) -> None:
        """Write the views of places that have none."""
        marks = ", ".join("?" * _COLUMNS)
        self._connection.executemany(
            f"INSERT INTO place_view VALUES ({marks})",
            ((row.place_id, *row.fields) for row in rows if row is not None),
        )

    def delete(self, ids: Sequence[int]) -> None:
        """Remove the views of places that stay."""
        rows = ((place_id,) for place_id in ids)
        self._connection.executemany("DELETE FROM place_view WHERE place_id = ?", rows)

    def delete_unused_calibrations(self) -> None:
        """Remove calibrations that no view refers to."""
        self._connection.execute(
            "DELETE FROM intrinsics WHERE id NOT IN"
            " (SELECT intrinsics_id FROM place_view WHERE intrinsics_id IS NOT NULL)"
        )

    def read(self, poses: PlacePoses) -> dict[int, PlaceView | None]:
        """Return the views of places by id, None where a place has none."""
        if not self._has_views:
            return dict.fromkeys(poses.ids.tolist())
        origins = dict(zip(poses.ids.tolist(), poses.position, strict=True))
        query = (
            "SELECT id, view_crc32, place_view.* FROM place"
            " LEFT JOIN place_view ON place_id = id WHERE id IN (SELECT value FROM json_each(?))"
        )
        kept: dict[int, ViewRow | None] = {}
        with contextlib.closing(self._connection.execute(query, (json.dumps([*origins]),))) as rows:
            for place_id, crc32, found, *fields in rows:
                row = None if found is None else ViewRow(place_id, tuple(fields))
                if crc32 != (row and row.crc32):
                    raise DamageError(f"place {place_id}: its view does not match its checksum")
                kept[place_id] = row
        wanted = {row.fields[0] for row in kept.values() if row is not None} - {None}
        cameras = dict(self._calibrations(wanted))
        return {
            place_id: row and _view(row, origins[place_id], cameras)
            for place_id, row in kept.items()
        }

    def calibrations(self) -> int:
        """Read all calibrations and return how many there are."""
        return sum(1 for _ in self._calibrations(None)) if self._has_views else 0

    def rows(self) -> int:
        """Return how many views there are."""
        query = "SELECT count(*) FROM place_view"
        return int(self._connection.execute(query).fetchone()[0]) if self._has_views else 0

    def table(self) -> ViewTable:
        """Return what there is of all views, without reading their features.

        The checksum of a view is over its features, too, and is not compared here.
        """
        query = (
            "SELECT x_m, y_m, z_m, qx, qy, qz, qw, place_id, intrinsics_id IS NOT NULL,"
            " ifnull(length(features), 0), ifnull(landmarks, 0) FROM place_view ORDER BY place_id"
        )
        rows = self._connection.execute(query).fetchall() if self._has_views else []
        numbers = [[math.nan if x is None else x for x in row] for row in rows]
        poses, counts = np.split(np.array(numbers, np.float64).reshape(-1, 11), [7], axis=1)
        ids, calibrated, size, landmarks = np.nan_to_num(counts).astype(np.int64).T
        return ViewTable(
            ids,
            poses[:, :3],
            poses[:, 3:],
            calibrated.astype(np.bool_),
            size // BYTES_PER_FEATURE,
            landmarks,
        )

    def counts(self) -> ViewCounts:
        """Return the figures of all views, without reading their features."""
        if not self._has_views:
            return ViewCounts(0, 0, 0, 0)
        numbers = self._connection.execute(
            "SELECT count(features), count(nullif(landmarks, 0)), ifnull(sum(length(features)), 0),"
            " (SELECT count(*) FROM intrinsics) FROM place_view"
        ).fetchone()
        return ViewCounts(*numbers)

    def _row(self, place_id: int, origin: Any, view: PlaceView) -> ViewRow:
        pose: tuple[float | None, ...] = _UNKNOWN_POSE
        if view.pose is not None:
            numbers = np.concatenate([view.pose.position, view.pose.orientation])
            # SQLite keeps neither the sign of zero nor NaN.
            pose = tuple(
                None if math.isnan(number) else number + 0.0
                for number in numbers.astype(np.float64).tolist()
            )
        camera = None if view.intrinsics is None else self._calibration_id(view.intrinsics)
        features = _NO_FEATURES if view.features is None else pack_features(view.features, origin)
        return ViewRow(place_id, (camera, *pose, *features))

    def _calibration_id(self, intrinsics: Intrinsics) -> int:
        """Return the id of a calibration, which is written where it is new."""
        text = json.dumps(intrinsics.to_json())
        query = "SELECT id FROM intrinsics WHERE json = ?"
        row = self._connection.execute(query, (text,)).fetchone()
        if row is not None:
            return int(row[0])
        (given,) = self._connection.execute(
            "SELECT ifnull(max(id), 0) + 1 FROM intrinsics"
        ).fetchone()
        self._connection.execute(
            "INSERT INTO intrinsics VALUES (?, ?, ?)", (given, text, fields_checksum(given, text))
        )
        return int(given)

    def _calibrations(self, ids: set[int] | None) -> Iterator[tuple[int, Intrinsics]]:
        """Yield calibrations by id; of all where `ids` is None."""
        # OpenCV and SciPy load when views are read, not when a map opens.
        from progeo_core.images.intrinsics import Intrinsics

        where = "true" if ids is None else "id IN (SELECT value FROM json_each(?))"
        values = () if ids is None else (json.dumps([one for one in ids if type(one) is int]),)
        query = f"SELECT id, json, crc32 FROM intrinsics WHERE {where}"
        with contextlib.closing(self._connection.execute(query, values)) as rows:
            for number, text, crc32 in rows:
                if fields_checksum(number, text) != crc32:
                    raise DamageError(f"calibration {number} does not match its checksum")
                try:
                    yield number, Intrinsics.from_json(json.loads(text))
                except (DataError, TypeError, ValueError, AttributeError, RecursionError) as error:
                    raise DamageError(f"calibration {number} cannot be used") from error


def _view(row: ViewRow, origin: Any, cameras: dict[int, Intrinsics]) -> PlaceView:
    """Return the view in a row whose checksum is right, which may be made by anyone."""
    camera, *numbers = row.fields
    try:
        if camera is not None and camera not in cameras:
            raise DamageError(f"its calibration {camera} is missing")
        view = PlaceView(
            pose=_pose(numbers[:7]),
            intrinsics=None if camera is None else cameras[camera],
            features=_features(numbers[7:], origin),
        )
        fault = fault_of(view)
        if fault is not None:
            raise DamageError(fault)
    except DamageError as error:
        raise DamageError(f"place {row.place_id}: {error}") from error
    return view


def _pose(numbers: list[Any]) -> CameraPose | None:
    from progeo_core.poses.camera_pose import CameraPose

    if not any(number is not None for number in numbers):
        return None
    kinds = [*map(type, numbers)]
    if {*kinds[:3]} != {float} or {*kinds[3:]} not in ({float}, {type(None)}):
        raise DamageError("the pose of its camera is incomplete")
    return CameraPose(*np.split(np.array(numbers, np.float64), [3]))


def _features(fields: list[Any], origin: Any) -> PlaceFeatures | None:
    if not any(field is not None for field in fields):
        return None
    if [*map(type, fields)] != [int, int, int, bytes]:
        raise DamageError("its local features are incomplete")
    return unpack_features(FeatureBlob(*fields), origin)
