"""Fleet's store on LanceDB: three tables in a folder or an object store, written by many at once.

Every change is one commit that appears whole or not at all; a commit that met another one is tried
again. Credentials come from the environment, as the object store's own tools take them.
"""

from __future__ import annotations

import datetime
import math
import urllib.parse
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from progeo_core.descriptors.fingerprint import ModelFingerprint
from progeo_core.errors import (
    DataError,
    MissingDependencyError,
    ModelMismatchError,
    UsageError,
)
from progeo_core.fleet import lance_rows
from progeo_core.fleet.lance_errors import explained, is_conflict, retried
from progeo_core.fleet.lance_rows import ALL_COLUMNS, CLEARED_COLUMNS, IS_PLACE, PLAIN_COLUMNS
from progeo_core.fleet.region import Region
from progeo_core.fleet.store import (
    FleetChanges,
    FleetInfo,
    FleetMatches,
    FleetPlaces,
    FleetSession,
    FleetStore,
)
from progeo_core.map.place_features import joined_structure

if TYPE_CHECKING:
    import pyarrow as pa

    from progeo_core.images.intrinsics import Intrinsics

_PLACES, _SESSIONS, _CAMERAS = "places", "sessions", "cameras"
# With these, `since` finds rows by the version that wrote them, however files are joined later.
_STORAGE = {"new_table_enable_stable_row_ids": "true"}
_READ_BLOCK = 256
# Ids of one condition.
_IDS = 500
# Version that wrote a row.
_CREATED = "_row_created_at_version"
# Versions that a reader may still have open are older than this before they are removed.
_KEPT = datetime.timedelta(days=1)
# Fewer descriptors than this are searched one by one.
_MIN_INDEXED = 20_000
# Descriptors of a partition of the index, when it is made; the engine splits those that grow.
_PER_PARTITION = 4096
# Descriptors of one partition that train its centre, and rounds of that.
_TRAINING, _ROUNDS = 32, 10
# Partitions that are searched, and how many of what is found there is compared in full.
_PROBES, _COMPARED = 32, 100


def open_fleet(uri: str, create_for: ModelFingerprint | None = None) -> FleetStore:
    """Open the store of a fleet: a folder, or s3://, gs:// or az:// and what they name.

    create_for: make the store for this model where there is none; another model's is refused by
    `ModelMismatchError`. Raises `DataError` where there is none else, or it cannot be reached,
    `UsageError` for credentials in the URI, `MissingDependencyError` without LanceDB.
    """
    try:
        import lancedb
    except ImportError as error:
        raise MissingDependencyError(
            f"{uri}: a fleet's store needs LanceDB: pip install 'progeo_ros[fleet]'"
        ) from error
    _check_uri(uri)
    missing = DataError(f"{uri}: there is no fleet's store; make one with 'progeo fleet push'")
    if create_for is None and "://" not in uri and not Path(uri).is_dir():
        raise missing
    with explained(uri):
        # Every read sees the newest version.
        database = lancedb.connect(uri, read_consistency_interval=datetime.timedelta(0))
        if _PLACES not in database.list_tables().tables:
            if create_for is None:
                raise missing
            _create_tables(database, create_for)
        store = LanceStore(uri, *map(database.open_table, (_PLACES, _SESSIONS, _CAMERAS)))
    if create_for is not None and store.fingerprint != create_for:
        raise ModelMismatchError(
            f"{uri}: the store was made with {store.fingerprint}, but the map with {create_for};"
            " push to another store, or build the map again with the store's model"
        )
    return store


def _check_uri(uri: str) -> None:
    parts = urllib.parse.urlsplit(uri)
    if "://" in uri and ("@" in parts.netloc or parts.query):
        raise UsageError(
            f"{parts.scheme}://…{parts.path}: credentials belong in the environment, not in the"
            " URI (docs/fleet.md)"
        )


def _create_tables(database: Any, fingerprint: ModelFingerprint) -> None:
    """Make the tables; where another writer makes them at the same time, take those."""
    schemas = (
        (_SESSIONS, lance_rows.session_schema()),
        (_CAMERAS, lance_rows.camera_schema()),
        # Last, as a store is one that has it.
        (_PLACES, lance_rows.place_schema(fingerprint)),
    )
    for name, schema in schemas:
        try:
            database.create_table(name, schema=schema, storage_options=_STORAGE)
        except (RuntimeError, OSError, ValueError) as error:
            if not is_conflict(error):
                raise
            database.open_table(name)


class LanceStore:
    """Open store on LanceDB; make it with `open_fleet`. Threads share none."""

    def __init__(self, uri: str, places: Any, sessions: Any, cameras: Any) -> None:
        """Take the open tables."""
        self.uri = uri
        self._places, self._sessions, self._cameras = places, sessions, cameras
        # What is known to be in the tables: neither sessions nor cameras ever change or go.
        self._kept_sessions, self._kept_cameras = set[FleetSession](), set[str]()
        self.fingerprint = lance_rows.fingerprint_of(uri, places.schema)

    def append(self, session: FleetSession, places: FleetPlaces) -> int:
        """Add the places that are not there yet; see `FleetStore.append`."""
        with explained(self.uri):
            self._require_fitting(places)
            self._keep_session(session)
            before = int(self._places.version)
            rows = self._rows_of(places.ids)
            known = {one for _, one in rows}
            if len(rows) > len(known):
                # Some of another writer, which was killed before it could drop them.
                self._drop_twins(places.ids)
            fresh = places.rows([row for row, one in enumerate(places.ids) if one not in known])
            if not fresh.ids:
                return 0
            self._keep_cameras(lance_rows.camera_rows(fresh))
            table = lance_rows.table_of_places(fresh, self._places.schema)
            # No engine's check of unique ids here: that reads all of them.
            if int(retried(partial(self._places.add, table)).version) != before + 1:
                # Others wrote since it was looked what is there; it may have been the same places.
                self._drop_twins(fresh.ids)
            return len(fresh.ids)

    def region(self, region: Region | None, *, content: bool = True) -> Iterator[FleetPlaces]:
        """Yield places of one version of the store; see `FleetStore.region`."""
        with explained(self.uri):
            query = self._places.search().where(_condition(region))
            query = query.select(list(ALL_COLUMNS if content else PLAIN_COLUMNS))
            batches = query.to_batches(_READ_BLOCK)
            # After the version of the places is chosen: their cameras are written before them.
            cameras = self._all_cameras() if content else None
            seen: set[str] = set()
            for batch in batches:
                found = _inside(region, self._places_of(batch, cameras), seen)
                if found.ids:
                    yield found

    def nearest(self, descriptor: ArrayLike, count: int) -> FleetMatches:
        """Return the most similar places; see `FleetStore.nearest`."""
        query = np.asarray(descriptor, np.float16).reshape(self.fingerprint.dimension)
        with explained(self.uri):
            search = self._places.search(query).distance_type("cosine").limit(count)
            search = search.nprobes(_PROBES).refine_factor(math.ceil(_COMPARED / count))
            table = search.select([*PLAIN_COLUMNS, "_distance"]).to_arrow().combine_chunks()
            similarity = 1.0 - np.asarray(table["_distance"], np.float64)
            rows = _first_rows(table["id"].to_pylist(), set())
            return FleetMatches(
                self._places_of(_one_batch(table), None).rows(rows), similarity[rows]
            )

    def since(self, version: int, region: Region | None = None) -> FleetChanges:
        """Return what came and went after a version; see `FleetStore.since`."""
        with explained(self.uri):
            newest = int(self._places.version)
            updated = "_row_last_updated_at_version"
            came = f"{_CREATED} > {version} AND {_CREATED} <= {newest} AND {_condition(region)}"
            went = f"{updated} > {version} AND {updated} <= {newest} AND NOT ({IS_PLACE})"
            table = self._places.search().where(came).select(list(PLAIN_COLUMNS)).to_arrow()
            added = _inside(region, self._places_of(_one_batch(table), None), set())
            gone = self._places.search().where(went).select(["id"]).to_arrow()
            return FleetChanges(newest, added, gone["id"].to_pylist())

    def info(self) -> FleetInfo:
        """Return what the store holds; see `FleetStore.info`."""
        with explained(self.uri):
            rows, places = self._places.count_rows(), self._places.count_rows(IS_PLACE)
            index = self._index("descriptor")
            return FleetInfo(
                version=int(self._places.version),
                places=places,
                dropped=rows - places,
                indexed=0 if index is None else int(index.num_indexed_rows or 0),
                size_bytes=int(dict(self._places.stats())["total_bytes"]),
                cameras=self._cameras.count_rows(),
                sessions=tuple(sorted(self._all_sessions())),
            )

    def compact(self, drop: Sequence[str] = ()) -> None:
        """Drop places, join files, bring indexes up to date; see `FleetStore.compact`."""
        cleared = dict.fromkeys(CLEARED_COLUMNS)
        with explained(self.uri):
            self._drop_twins(self._ids_of_twins())
            for where in _any_of(drop):
                retried(partial(self._places.update, where=where, values=cleared))
            for table in (self._sessions, self._cameras, self._places):
                retried(partial(table.optimize, cleanup_older_than=_KEPT))
            self._make_indexes()

    def _make_indexes(self) -> None:
        """Make what indexes there are none of yet; `optimize` has extended the others."""
        from lancedb.index import BTree, IvfRq

        places = self._places.count_rows(IS_PLACE)
        if not places:
            return
        for column in ("id", "cell"):
            if self._index(column) is None:
                retried(partial(self._places.create_index, column, config=BTree()))
        if places >= _MIN_INDEXED and self._index("descriptor") is None:
            config = IvfRq(
                distance_type="cosine",
                num_partitions=max(1, places // _PER_PARTITION),
                sample_rate=_TRAINING,
                max_iterations=_ROUNDS,
            )
            retried(partial(self._places.create_index, "descriptor", config=config))

    def _index(self, column: str) -> Any:
        found = (one for one in self._places.list_indices() if one.columns == [column])
        return next(found, None)

    def _places_of(self, batch: pa.RecordBatch, cameras: Any) -> FleetPlaces:
        return lance_rows.places_of_batch(batch, self.fingerprint.dimension, cameras)

    def _require_fitting(self, places: FleetPlaces) -> None:
        wanted = (len(places.ids), self.fingerprint.dimension)
        if places.descriptors.shape != wanted:
            raise UsageError(
                f"{self.uri}: descriptors of shape {places.descriptors.shape} do not fit, the store"
                f" keeps {self.fingerprint.dimension} values of each place"
            )

    def _rows_of(self, ids: Sequence[str]) -> list[tuple[int, str]]:
        """Return the version that wrote it and the id of every row with one of these ids."""
        rows: list[tuple[int, str]] = []
        for where in _any_of(ids):
            found = self._places.search().where(where).select([_CREATED, "id"]).to_arrow()
            rows += zip(found[_CREATED].to_pylist(), found["id"].to_pylist(), strict=True)
        return rows

    def _drop_twins(self, ids: Sequence[str]) -> None:
        """Delete rows with these ids but the first of each.

        Writers that add the same places at a time do not see each other, as each adds what it did
        not find. The later one finds both rows afterwards; until then, readers count them once.
        """
        first: dict[str, int] = {}
        later = defaultdict[int, list[str]](list)
        for version, one in sorted(self._rows_of(ids)):
            if first.setdefault(one, version) != version:
                later[version].append(one)
        for version, extra in later.items():
            for where in _any_of(extra):
                retried(partial(self._places.delete, f"{where} AND {_CREATED} = {version}"))

    def _ids_of_twins(self) -> list[str]:
        """Return the ids that several rows have; reads all ids."""
        import pyarrow as pa
        import pyarrow.compute as pc

        ids = self._places.search().select(["id"]).to_arrow()["id"]
        # Together they may be more than 2 GB.
        counted = ids.cast(pa.large_string()).value_counts()
        values, counts = counted.field("values"), counted.field("counts")
        twins: list[str] = values.filter(pc.greater(counts, 1)).to_pylist()
        return twins

    def _all_sessions(self) -> Iterator[FleetSession]:
        return map(lance_rows.session_of, self._sessions.to_arrow().to_pylist())

    def _all_cameras(self) -> dict[str, Intrinsics]:
        return lance_rows.cameras_of(self._cameras.to_arrow().to_pylist())

    def _keep_session(self, session: FleetSession) -> None:
        """Write a session that is new; `UsageError` where its name is that of another one."""
        if session in self._kept_sessions:
            return
        kept = {one.key: one for one in self._all_sessions()}
        for other in kept.values():
            _require_comparable(self.uri, other, session)
        row = lance_rows.session_row(session)
        _merge(self._sessions, [row])
        found = next(one for one in self._all_sessions() if one.key == session.key)
        # Another robot of this name may have been first.
        _require_comparable(self.uri, found, session)
        if found.structure != session.structure:
            _merge(self._sessions, [row], update=True)
        self._kept_sessions.add(session)

    def _keep_cameras(self, cameras: dict[str, str]) -> None:
        rows = [
            {"key": key, "json": text}
            for key, text in cameras.items()
            if key not in self._kept_cameras
        ]
        if rows:
            _merge(self._cameras, rows)
            self._kept_cameras.update(cameras)


def _merge(table: Any, rows: Sequence[Mapping[str, Any]], update: bool = False) -> None:
    """Insert rows whose key is new, and replace others if `update`."""
    import pyarrow as pa

    data = pa.Table.from_pylist(rows, table.schema)
    merge = table.merge_insert("key").when_not_matched_insert_all()
    if update:
        merge = merge.when_matched_update_all()
    retried(lambda: merge.execute(data))


def _require_comparable(uri: str, kept: FleetSession, session: FleetSession) -> None:
    """Raise `UsageError` where a session cannot be in a store beside one that is there."""
    if kept.key == session.key and (kept.lineage, kept.datum) != (session.lineage, session.datum):
        raise UsageError(
            f"{uri}: session '{session.name}' of robot '{session.robot}' came from another map: if"
            " another robot has that name, push with another --robot; if this is another drive of"
            " it, with another --session"
        )
    if kept.structure is not None and session.structure is not None:
        try:
            joined_structure(kept.structure, session.structure)
        except UsageError as error:
            raise UsageError(f"{uri}: session '{kept.key}' has other ones: {error}") from None


def _condition(region: Region | None) -> str:
    """Return what rows of a region fulfil; of a circle, those of its box."""
    if region is None:
        return IS_PLACE
    cells = " OR ".join(f"(cell >= {first} AND cell <= {last})" for first, last in region.cells)
    latitude = f"lat_deg >= {float(region.south_deg)} AND lat_deg <= {float(region.north_deg)}"
    longitude = " OR ".join(
        f"(lon_deg >= {float(west)} AND lon_deg <= {float(east)})"
        for west, east in region.longitudes
    )
    return f"({cells}) AND {latitude} AND ({longitude})"


def _inside(region: Region | None, places: FleetPlaces, seen: set[str]) -> FleetPlaces:
    """Return those of the region's box that are in the region, but what was seen already."""
    rows = np.array(_first_rows(places.ids, seen), np.int64)
    if region is not None:
        rows = rows[region.contains(places.geodetic[rows])]
    return places if len(rows) == len(places.ids) else places.rows(rows)


def _one_batch(table: pa.Table) -> pa.RecordBatch:
    import pyarrow as pa

    batches = table.combine_chunks().to_batches()
    if batches:
        return batches[0]
    return pa.RecordBatch.from_pylist([], schema=table.schema)


def _any_of(ids: Sequence[str]) -> Iterator[str]:
    """Yield conditions that some of the ids fulfil each."""
    for start in range(0, len(ids), _IDS):
        quoted = (one.replace("'", "''") for one in ids[start : start + _IDS])
        yield "id IN ('{}')".format("', '".join(quoted))


def _first_rows(ids: Sequence[str], seen: set[str]) -> list[int]:
    """Return the rows of ids that were not seen yet, each once, and count them as seen."""
    rows = {one: row for row, one in reversed([*enumerate(ids)]) if one not in seen}
    seen.update(rows)
    return sorted(rows.values())
