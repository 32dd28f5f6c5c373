"""Rows of a fleet's tables in Lance: their schemas, and places to rows and back.

A place that was dropped keeps its id and session, and NULL in all other columns: so its map may be
pushed again without bringing it back.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from progeo_core.descriptors.fingerprint import ModelFingerprint
from progeo_core.errors import DataError
from progeo_core.fleet.region import cells_of
from progeo_core.fleet.store import FleetPlaces, FleetSession
from progeo_core.geo import Datum
from progeo_core.map.checksums import fields_checksum
from progeo_core.map.feature_blob import FeatureBlob, pack_features, unpack_features
from progeo_core.map.place_features import (
    PlaceView,
    StructureNote,
    fault_of,
    pose_errors_in_words,
)
from progeo_core.map.places import Float16Array, Places
from progeo_core.map.sqlite_file import DamageError

if TYPE_CHECKING:
    import pyarrow as pa

    from progeo_core.images.intrinsics import Intrinsics

SCHEMA_VERSION = 1
_METADATA = b"progeo"
# What the engine has to know of a column whose values are unique.
_PRIMARY_KEY = {"lance-schema:unenforced-primary-key": "true"}
# The columns of a place but its id and session; those of its content are read where wanted.
_LABELS = ("traverse", "camera", "image", "stamp_ns")
_NUMBERS = ("x_m", "y_m", "z_m", "yaw_rad", "lat_deg", "lon_deg", "alt_m")
_CONTENT = ("thumbnail", "calibration", "pose", "width", "height", "landmarks", "features")
PLAIN_COLUMNS = ("id", "session", *_LABELS, *_NUMBERS, "descriptor")
ALL_COLUMNS = (*PLAIN_COLUMNS, *_CONTENT, "checksum")
# The columns of how wrong the poses of a session are.
_POSE_ERRORS = ("position_error_m", "turn_error_rad")
CLEARED_COLUMNS = tuple(name for name in (*ALL_COLUMNS, "cell") if name not in ("id", "session"))
# Whether a row is a place that was not dropped.
IS_PLACE = "checksum IS NOT NULL"


class _ViewRow(NamedTuple):
    """A view as the table keeps it; what is unknown is None."""

    calibration: str | None = None
    pose: list[float] | None = None
    width: int | None = None
    height: int | None = None
    landmarks: int | None = None
    features: bytes | None = None


def place_schema(fingerprint: ModelFingerprint) -> pa.Schema:
    """Return the schema of places; its metadata name the model and the version."""
    import pyarrow as pa

    text, number, blob = pa.string(), pa.float64(), pa.large_binary()
    return pa.schema(
        [
            pa.field("id", text, nullable=False, metadata=_PRIMARY_KEY),
            pa.field("session", text, nullable=False),
            *(pa.field(name, text) for name in _LABELS[:-1]),
            pa.field("stamp_ns", pa.int64()),
            *(pa.field(name, number) for name in _NUMBERS),
            pa.field("cell", pa.int64()),
            pa.field("descriptor", pa.list_(pa.float16(), fingerprint.dimension)),
            pa.field("thumbnail", blob),
            pa.field("calibration", text),
            pa.field("pose", pa.list_(number, 7)),
            *(pa.field(name, pa.int32()) for name in ("width", "height", "landmarks")),
            pa.field("features", blob),
            pa.field("checksum", pa.int64()),
        ],
        metadata={
            _METADATA: json.dumps(
                {"schema": SCHEMA_VERSION, "model": dataclasses.asdict(fingerprint)}
            )
        },
    )


def session_schema() -> pa.Schema:
    """Return the schema of sessions."""
    import pyarrow as pa

    texts = ("key", "robot", "name", "lineage", "extractor", "structure_source")
    numbers = ("datum_lat_deg", "datum_lon_deg", "datum_alt_m", *_POSE_ERRORS)
    return pa.schema(
        [_column(name, pa.string()) for name in texts]
        + [_column(name, pa.float64()) for name in numbers]
    )


def camera_schema() -> pa.Schema:
    """Return the schema of the cameras' calibrations, each once."""
    import pyarrow as pa

    return pa.schema([_column("key", pa.string()), _column("json", pa.string())])


def _column(name: str, kind: pa.DataType) -> pa.Field:
    import pyarrow as pa

    if name == "key":
        return pa.field(name, kind, nullable=False, metadata=_PRIMARY_KEY)
    return pa.field(name, kind)


def fingerprint_of(uri: str, schema: pa.Schema) -> ModelFingerprint:
    """Return the model of a store; `DataError` for a newer store, or a table that is none."""
    try:
        stated = json.loads((schema.metadata or {})[_METADATA])
        version = int(stated["schema"])
        if version > SCHEMA_VERSION:
            raise DataError(
                f"{uri}: the store has schema {version}, this program reads up to"
                f" {SCHEMA_VERSION}; update progeo"
            )
        return ModelFingerprint(**stated["model"])
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{uri}: its table of places is not a fleet's; name another URI") from error


def session_row(session: FleetSession) -> dict[str, Any]:
    """Return the row of a session."""
    extractor, source, errors = session.structure or (None, None, (None, None))
    return {
        "key": session.key,
        "robot": session.robot,
        "name": session.name,
        "lineage": session.lineage,
        "extractor": extractor,
        "structure_source": source,
        "datum_lat_deg": session.datum.lat_deg,
        "datum_lon_deg": session.datum.lon_deg,
        "datum_alt_m": session.datum.alt_m,
        **dict(zip(_POSE_ERRORS, errors, strict=True)),
    }


def session_of(row: Mapping[str, Any]) -> FleetSession:
    """Return the session of a row."""
    datum = Datum(*(row[f"datum_{name}"] for name in ("lat_deg", "lon_deg", "alt_m")))
    structure = None
    if row["extractor"] is not None:
        source = row["structure_source"]
        # Stores of before, and programs of before, have no such columns.
        position_m, turn_rad = (row.get(name) for name in _POSE_ERRORS)
        if position_m is None or turn_rad is None:
            position_m, turn_rad = pose_errors_in_words(source)
        structure = StructureNote(row["extractor"], source, (position_m, turn_rad))
    return FleetSession(row["robot"], row["name"], row["lineage"], datum, structure)


def camera_rows(places: FleetPlaces) -> dict[str, str]:
    """Return the calibrations of places as JSON, by key."""
    used = {view.intrinsics for view in places.places.views if view and view.intrinsics}
    texts = [json.dumps(camera.to_json()) for camera in used]
    return {_camera_key(text): text for text in texts}


def cameras_of(rows: Sequence[Mapping[str, str]]) -> dict[str, Intrinsics]:
    """Return the calibrations of rows by key; `DamageError` for one that cannot be used."""
    from progeo_core.images.intrinsics import Intrinsics

    cameras = {}
    for row in rows:
        if _camera_key(row["json"]) != row["key"]:
            raise DamageError(f"calibration {row['key']} does not match its checksum")
        cameras[row["key"]] = Intrinsics.from_json(json.loads(row["json"]))
    return cameras


def _camera_key(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def table_of_places(rows: FleetPlaces, schema: pa.Schema) -> pa.Table:
    """Return places as a table of a store, each with its checksum."""
    import pyarrow as pa

    places = rows.places
    count = len(rows.ids)
    views = [
        _view_row(view, origin)
        for view, origin in zip(
            places.views or (None,) * count, np.asarray(places.position), strict=True
        )
    ]
    vectors = np.ascontiguousarray(rows.descriptors, np.float16)
    numbers = np.column_stack([places.position, places.yaw_rad, rows.geodetic])
    columns: dict[str, Any] = {
        "id": list(rows.ids),
        "session": list(rows.sessions),
        "traverse": list(places.traverse),
        "camera": list(places.camera),
        "image": list(places.image),
        "stamp_ns": np.asarray(places.stamp_ns).tolist(),
        **{name: _known(numbers[:, one]) for one, name in enumerate(_NUMBERS)},
        "cell": cells_of(rows.geodetic).tolist(),
        "descriptor": pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), len(vectors[0])),
        "thumbnail": list(places.thumbnail),
        **{name: [getattr(view, name) for view in views] for name in _ViewRow._fields},
    }
    checked = {name: columns[name] for name in ALL_COLUMNS if name in columns}
    checked["descriptor"] = list(map(np.ndarray.tobytes, vectors))
    columns["checksum"] = [_checksum(values) for values in zip(*checked.values(), strict=True)]
    return pa.table(columns, schema=schema)


def _known(values: Any) -> list[float | None]:
    return [None if math.isnan(value) else value + 0.0 for value in values.tolist()]


def _checksum(fields: Sequence[Any]) -> int:
    """Return the checksum of a row: of its plain values, then of its bytes."""
    total = fields_checksum(*(one for one in fields if not isinstance(one, bytes)))
    for one in fields:
        if isinstance(one, bytes):
            total = zlib.crc32(one, total)
    return total


def _view_row(view: PlaceView | None, origin: Any) -> _ViewRow:
    if view is None:
        return _ViewRow()
    camera = pose = None
    if view.intrinsics is not None:
        camera = _camera_key(json.dumps(view.intrinsics.to_json()))
    if view.pose is not None:
        pose = (np.concatenate([view.pose.position, view.pose.orientation]) + 0.0).tolist()
    if view.features is None:
        return _ViewRow(camera, pose)
    return _ViewRow(camera, pose, *pack_features(view.features, origin))


def places_of_batch(
    batch: pa.RecordBatch, dimension: int, cameras: Mapping[str, Intrinsics] | None
) -> FleetPlaces:
    """Return the places of rows; with `cameras` also their content, after comparing checksums.

    Raises `DamageError` naming a place whose row is not as it was written.
    """
    columns = {name: batch.column(name) for name in batch.schema.names}
    lists = {name: column.to_pylist() for name, column in columns.items() if name != "descriptor"}
    count = batch.num_rows
    vectors = _vectors(columns["descriptor"], count, dimension)
    numbers = np.array(
        [[math.nan if one is None else one for one in lists[name]] for name in _NUMBERS], np.float64
    ).T.reshape(count, len(_NUMBERS))
    if cameras is None:
        thumbnails: Sequence[bytes | None] = [None] * count
        views: Sequence[PlaceView | None] = [None] * count
    else:
        _compare_checksums(lists, vectors)
        thumbnails = lists["thumbnail"]
        views = list(_views(lists, numbers, cameras))
    places = Places(
        position=numbers[:, :3],
        yaw_rad=numbers[:, 3],
        stamp_ns=np.array(lists["stamp_ns"], np.int64),
        camera=lists["camera"],
        traverse=lists["traverse"],
        image=lists["image"],
        thumbnail=thumbnails,
        views=views,
    )
    return FleetPlaces(lists["id"], lists["session"], numbers[:, 4:], places, vectors)


def _vectors(column: Any, count: int, dimension: int) -> Float16Array:
    flat = column.flatten().to_numpy(zero_copy_only=False)
    return np.asarray(flat, np.float16).reshape(count, dimension)


def _compare_checksums(lists: Mapping[str, list[Any]], vectors: Float16Array) -> None:
    checked = {**lists, "descriptor": list(map(np.ndarray.tobytes, vectors))}
    rows = zip(*(checked[name] for name in ALL_COLUMNS if name != "checksum"), strict=True)
    for row, wanted in zip(rows, lists["checksum"], strict=True):
        if _checksum(row) != wanted:
            raise DamageError(f"place {row[0]} does not match its checksum")


def _views(
    lists: Mapping[str, list[Any]], numbers: Any, cameras: Mapping[str, Intrinsics]
) -> Iterator[PlaceView | None]:
    from progeo_core.poses.camera_pose import CameraPose

    rows = map(_ViewRow, *(lists[name] for name in _ViewRow._fields))
    for row, place_id, origin in zip(rows, lists["id"], numbers[:, :3], strict=True):
        if row == _ViewRow():
            yield None
            continue
        try:
            if row.calibration is not None and row.calibration not in cameras:
                raise DamageError(f"its calibration {row.calibration} is missing")
            pose = row.pose and CameraPose(*np.split(np.array(row.pose), [3]))
            features = None
            if row.features is not None:
                size = row.width or 0, row.height or 0
                features = unpack_features(
                    FeatureBlob(*size, row.landmarks or 0, row.features), origin
                )
            view = PlaceView(pose or None, cameras.get(row.calibration or ""), features)
            fault = fault_of(view)
            if fault is not None:
                raise DamageError(fault)
        except DamageError as error:
            raise DamageError(f"place {place_id}: {error}") from error
        yield view
