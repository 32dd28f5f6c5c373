"""Map files, damaged or made by somebody else, and the index files beside them."""

from __future__ import annotations

import contextlib
import functools
import math
import sqlite3
import tempfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any, NamedTuple
from unittest import mock

import numpy as np

from progeo_core.descriptors.fingerprint import ModelFingerprint
from progeo_core.geo import Datum
from progeo_core.localization.localizer import Localizer
from progeo_core.localization.localizer_settings import LocalizerSettings
from progeo_core.map.checksums import (
    descriptor_checksums,
    fields_checksum,
    label_checksum,
    pose_checksums,
)
from progeo_core.map.confidence_calibration import Calibration, ConfidenceCurve
from progeo_core.map.export import ExportFormat, export_map
from progeo_core.map.place_features import StructureNote
from progeo_core.map.place_index import MEMORY_MB, PlaceIndex
from progeo_core.map.place_map import PlaceMap, PlacePoses, Places
from progeo_core.map.summary import summarize_map
from progeo_core.map.view_rows import ViewRow
from test.fuzz.image_kinds import ROOT, encoded
from test.fuzz.kind import Kind, SilentChangeError
from test.fuzz.mutation import mutate
from test.map_content import content_of
from test.place_views import make_view

_FINGERPRINT = ModelFingerprint("fuzz+GeM", 32, "64x64 bilinear", "ab" * 32, name="fuzz")
_COUNT = 40
# Places from which an index may have lists.
_LISTED = 1_000
_OLDER = [ROOT / "test" / "data" / f"schema{version}.progeo" for version in (1, 2)]
_VALUES: tuple[Any, ...] = (
    *(None, 0, 1, -1, 2**63 - 1, -(2**63), 0.5, 1e308, -1e308, 9e999, 5e-324, 1e9, 1e5, b"", b"\0"),
    *("", "text", "\0", "é" * 100_000, "1e5", b"\xff\x7e" * 16, bytes(32), b"\xff\xd8" * 9, "=1+1"),
    *("[" * 5000, "{}", '{"dimension": 1e99}', "\x01\x0b", "</name>", -9999, 1e300, 1e154, 4e18),
    *(b"\xff" * 82 * 20, bytes(82 * 20), bytes(82), b"\x7f\xc0" * 41 * 20, 20, 640),
)
_COLUMNS = {
    "map": (
        *("fingerprint", "datum_lat_deg", "datum_lon_deg", "datum_alt_m", "revision", "places"),
        *("last_id", "several_cameras", "single_offset", "single_slope", "sequence_offset"),
        *("structure_extractor", "structure_source"),
        *("structure_position_error_m", "structure_turn_error_rad"),
    ),
    "place": ("id", "x_m", "y_m", "z_m", "yaw_rad", "stamp_ns", "camera", "traverse", "image"),
    "descriptor": ("place_id", "float16"),
    "thumbnail": ("place_id", "jpeg"),
    "intrinsics": ("id", "json"),
    "place_view": (
        *("place_id", "intrinsics_id", "x_m", "y_m", "z_m", "qx", "qy", "qz", "qw"),
        *("width", "height", "landmarks", "features"),
    ),
}
_STATEMENTS = (
    "CREATE TRIGGER t AFTER INSERT ON place BEGIN DELETE FROM place; END",
    "CREATE VIEW v AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i FROM n) SELECT i FROM n",
    "ALTER TABLE place RENAME TO other",
    "ALTER TABLE place ADD COLUMN extra TEXT",
    "DROP TABLE thumbnail",
    "DELETE FROM map",
    "DELETE FROM place WHERE id % 2",
    "DELETE FROM descriptor WHERE place_id > 20",
    "DELETE FROM sqlite_sequence",
    "CREATE INDEX i ON place (x_m)",
    "PRAGMA user_version = 1",
    "PRAGMA user_version = 77",
    "PRAGMA application_id = 1",
    "PRAGMA encoding = 'UTF-16'",
    "UPDATE place SET x_m = x_m * 1e9",
    "UPDATE place SET x_m = 0, y_m = 0",
    "UPDATE place SET x_m = 1e308",
    "UPDATE place SET id = id * 100000000000000",
    "UPDATE place SET stamp_ns = -9223372036854775807",
    "UPDATE place SET camera = id",
    "UPDATE descriptor SET float16 = zeroblob(32)",
    "DROP TABLE place_view",
    "DELETE FROM intrinsics",
    "DELETE FROM place_view WHERE place_id % 2",
    "UPDATE place_view SET features = zeroblob(82 * 20)",
    "UPDATE place_view SET features = zeroblob(82000000)",
    "UPDATE place_view SET features = randomblob(82 * 20)",
    "UPDATE place_view SET landmarks = 1000000000",
    "UPDATE intrinsics SET json = replace(json, '500', '1e999')",
    "PRAGMA journal_mode = WAL",
)
_SEEDED = (0.5, 0.1)


class _NoEncoder(NamedTuple):
    """An encoder of the map's model, whatever that is; nothing is encoded."""

    fingerprint: ModelFingerprint


@functools.cache
def _descriptors(count: int = _COUNT) -> Any:
    vectors = np.random.default_rng(0).normal(size=(count, _FINGERPRINT.dimension))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def _write_map(path: Path, cameras: Sequence[str], count: int) -> None:
    jpeg = encoded("JPEG")
    line = np.arange(count)[:, None] * [1.0, 0.5, 0.0]
    places = Places(
        position=line,
        yaw_rad=np.linspace(-3.0, 3.0, count),
        stamp_ns=np.arange(count) * 10**9 + 1_700_000_000 * 10**9,
        camera=[cameras[row % len(cameras)] for row in range(count)],
        traverse=["first"] * count,
        image=[f"{row}.jpg" for row in range(count)],
        thumbnail=[jpeg[:500] if row % 10 == 0 else None for row in range(count)],
        views=[make_view(line[row], row, 20) if row % 4 == 1 else None for row in range(count)],
    )
    with (
        mock.patch("secrets.token_hex", lambda count: "5c" * count),
        PlaceMap.create(path, _FINGERPRINT, Datum(48.0, 11.0, 500.0)) as place_map,
    ):
        place_map.append(places, _descriptors(count))
        if len(cameras) > 1:
            place_map.set_calibration(
                Calibration(ConfidenceCurve(*_SEEDED), ConfidenceCurve(*_SEEDED))
            )
            place_map.set_structure(StructureNote("tiny-features", "depth"))


@functools.cache
def _maps() -> tuple[bytes, ...]:
    return tuple(map(_bytes_of_map, (("",), ("front", "rear"))))


def _bytes_of_map(cameras: Sequence[str], count: int = _COUNT) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "map.progeo")
        _write_map(path, cameras, count)
        return path.read_bytes()


@functools.cache
def _contents() -> frozenset[Any]:
    """Return everything that readers see of the undamaged maps."""
    with tempfile.TemporaryDirectory() as folder:
        found = []
        for number, data in enumerate(_maps()):
            path = Path(folder, f"{number}.progeo")
            path.write_bytes(data)
            with PlaceMap.open(path) as place_map:
                found.append(content_of(place_map))
        return frozenset(found)


def _read_map(data: bytes, folder: Path) -> None:
    """Read a damaged map: an error, or what was written."""
    path = folder / "map.progeo"
    path.write_bytes(data)
    with PlaceMap.open(path) as place_map:
        content = content_of(place_map)
        if content not in _contents():
            raise SilentChangeError("another content, and no error")
        place_map.verify()
        _search(place_map)


def _search(place_map: PlaceMap, memory_mb: int = MEMORY_MB, *, is_checked: bool = True) -> None:
    ids, vectors = place_map.ids(), place_map.descriptors()
    if not len(ids):
        return
    queries = vectors[:5].astype(np.float32)
    exact = PlaceIndex.of_arrays(ids, vectors).search(queries, 1)
    found = PlaceIndex.open(place_map, memory_mb).search(queries, 1)
    if is_checked and not np.array_equal(found.similarity.round(3), exact.similarity.round(3)):
        raise SilentChangeError("the index finds other places than there are")


def _read_foreign_map(data: bytes, folder: Path) -> None:
    """Use a map that somebody made, whose checksums may be right: any content, but no accident."""
    path = folder / "map.progeo"
    path.write_bytes(data)
    with PlaceMap.open(path) as place_map:
        content_of(place_map)
        place_map.verify()
        _search(place_map)
        summary = summarize_map(place_map)
        assert summary.to_json()
        assert summary.to_lines()
        for form in ExportFormat:
            if place_map.datum is not None or form is ExportFormat.CSV:
                export_map(place_map, folder / f"out.{form.value}", form)
        encoder: Any = _NoEncoder(place_map.fingerprint)
    for sequence in (False, True):
        settings = LocalizerSettings(sequence=sequence)
        with Localizer.open(path, encoder, settings) as localizer:
            for step in (1, 2, 3):
                query = np.resize(_descriptors()[step], encoder.fingerprint.dimension)
                query /= np.linalg.norm(query)
                answer = localizer.localize_descriptor(query, step * 10**9, "front")
                assert 0.0 <= answer.estimate.confidence <= 1.0
                if answer.accepted:
                    assert np.isfinite(answer.estimate.position).all()
                    assert np.isfinite(answer.estimate.covariance).all()


def _change_cells(seed: bytes, rng: Random, _: Sequence[bytes]) -> bytes:
    """Change cells and tables as SQL can, and (mostly) make the checksums right again."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "map.progeo")
        path.write_bytes(seed)
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
            for _change in range(rng.choice((1, 1, 2, 4))):
                # STRICT tables and other constraints refuse some of them.
                with contextlib.suppress(sqlite3.Error, OverflowError):
                    _change_one(connection, rng)
            if rng.random() < 0.8:
                # What cannot be computed stays wrong.
                with contextlib.suppress(Exception):
                    _correct_checksums(connection)
            with contextlib.suppress(sqlite3.Error):
                connection.execute("PRAGMA journal_mode = DELETE")
        return path.read_bytes()


def _change_one(connection: sqlite3.Connection, rng: Random) -> None:
    if rng.random() < 0.2:
        connection.execute(rng.choice(_STATEMENTS))
        return
    if rng.random() < 0.2:
        _loosen(connection)
    table = rng.choice(list(_COLUMNS))
    column, value = rng.choice(_COLUMNS[table]), rng.choice(_VALUES)
    where = rng.choice(("", "WHERE rowid = 1", "WHERE rowid > 20"))
    connection.execute("PRAGMA ignore_check_constraints = 1")
    connection.execute(f"UPDATE {table} SET {column} = ? {where}", (value,))


def _loosen(connection: sqlite3.Connection) -> None:
    """Take the types from the schema, and let it look as before once they were used."""
    connection.execute("PRAGMA writable_schema = 1")
    connection.execute("UPDATE sqlite_schema SET sql = replace(sql, ') STRICT', ')')")
    (version,) = connection.execute("PRAGMA schema_version").fetchone()
    connection.execute(f"PRAGMA schema_version = {version + 1}")


def _correct_checksums(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA writable_schema = 1")
    for name in _COLUMNS:
        connection.execute(
            "UPDATE sqlite_schema SET sql = sql || ' STRICT' WHERE name = ? AND sql LIKE '%)'",
            (name,),
        )
    (places,) = connection.execute("SELECT count(*) FROM place").fetchone()
    row = list(connection.execute("SELECT * FROM map").fetchone())[1:-1]
    connection.execute("UPDATE map SET crc32 = ?", (fields_checksum(*row),))
    assert places
    for place_id, blob in connection.execute("SELECT place_id, float16 FROM descriptor").fetchall():
        vector = np.frombuffer(blob, np.float16)[None]
        checksum = int(descriptor_checksums(np.array([place_id]), vector)[0])
        connection.execute(
            "UPDATE descriptor SET checksum = ? WHERE place_id = ?", (checksum, place_id)
        )
    for number, text in connection.execute("SELECT id, json FROM intrinsics").fetchall():
        connection.execute(
            "UPDATE intrinsics SET crc32 = ? WHERE id = ?", (fields_checksum(number, text), number)
        )
    views = {
        row[0]: ViewRow(row[0], row[1:]).crc32
        for row in connection.execute("SELECT * FROM place_view").fetchall()
    }
    pictures = dict(connection.execute("SELECT place_id, jpeg FROM thumbnail").fetchall())
    for place_id, *pose in connection.execute("SELECT id, x_m, y_m, z_m, yaw_rad FROM place"):
        numbers = [math.nan if value is None else value for value in pose]
        one = PlacePoses(np.array([place_id]), np.array([numbers[:3]]), np.array(numbers[3:]))
        jpeg = pictures.get(place_id)
        crc32 = None if jpeg is None else zlib.crc32(jpeg)
        view = views.get(place_id)
        stamp_ns, camera, traverse, image = connection.execute(
            "SELECT stamp_ns, camera, traverse, image FROM place WHERE id = ?", (place_id,)
        ).fetchone()
        connection.execute(
            "UPDATE place SET pose_checksum = ?, thumbnail_crc32 = ?, label_crc32 = ?,"
            " view_crc32 = ? WHERE id = ?",
            (
                int(pose_checksums(one)[0]),
                crc32,
                label_checksum(place_id, stamp_ns, camera, traverse, image, crc32, view),
                view,
                place_id,
            ),
        )


class _IndexCase(NamedTuple):
    """An index file, the memory (MB) it is for, and whether its checksum is right all the same."""

    data: bytes
    memory_mb: int
    is_sealed: bool = False


@functools.cache
def _map_with_lists() -> bytes:
    return _bytes_of_map(("",), _LISTED)


@functools.cache
def _index_seeds() -> tuple[_IndexCase, ...]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "map.progeo")
        path.write_bytes(_map_with_lists())
        found = []
        for memory_mb in (MEMORY_MB, 0):
            with PlaceMap.open(path) as place_map:
                assert PlaceIndex.open(place_map, memory_mb).plan.is_exact == (memory_mb > 0)
            found.append(_IndexCase(path.with_suffix(".faiss").read_bytes(), memory_mb))
        return tuple(found)


def _change_index(seed: _IndexCase, rng: Random, others: Sequence[_IndexCase]) -> _IndexCase:
    """Change an index; in half of the cases correct its checksum, as an attacker would."""
    data = mutate(seed.data, rng, [other.data for other in others])
    start = seed.data.rfind(b'{"revision"')
    if rng.random() < 0.5 and len(data) == len(seed.data) and data[start:] == seed.data[start:]:
        right, wrong = (f'"crc32": {zlib.crc32(one[:start])}' for one in (data, seed.data))
        tail = data[start:].replace(wrong.encode(), right.ljust(len(wrong)).encode())
        if len(tail) == len(data) - start:
            return _IndexCase(data[:start] + tail, seed.memory_mb, is_sealed=True)
    return _IndexCase(data, seed.memory_mb)


def _read_index(case: _IndexCase, folder: Path) -> None:
    path = folder / "map.progeo"
    path.write_bytes(_map_with_lists())
    path.with_suffix(".faiss").write_bytes(case.data)
    with PlaceMap.open(path) as place_map:
        _search(place_map, case.memory_mb, is_checked=not case.is_sealed)


KINDS = {
    "map of schema 1": Kind(lambda: [_OLDER[0].read_bytes()], _read_foreign_map, share=1.0),
    "map of schema 2": Kind(lambda: [_OLDER[1].read_bytes()], _read_foreign_map, share=1.0),
    "map, damaged": Kind(_maps, _read_map, share=3.0),
    "map, made by others": Kind(_maps, _read_foreign_map, _change_cells, share=2.0),
    "index file": Kind(_index_seeds, _read_index, _change_index),
}
