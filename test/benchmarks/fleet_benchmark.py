"""A fleet's store of 1,000,000 × 512 places in a folder: pull, append, nearest, compact, size.

Drives of 5,000 places, 5 m apart, in a city of 10 km; thumbnails of 2 KB. Plain: a pull that reads
where all places are, an append by the engine's own check of ids, a search that compares all
descriptors, the first compact, and the bytes of what was given. The drives come whole, so that
files are larger than those of robots that push.
"""

from __future__ import annotations

import datetime
import importlib.util
import itertools
import resource
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from progeo_core.fleet import lance_rows
from progeo_core.fleet.lance_store import open_fleet
from progeo_core.fleet.pull import pull_region
from progeo_core.fleet.region import Region
from progeo_core.fleet.store import FleetPlaces, FleetSession, FleetStore, fleet_places
from progeo_core.geo import Datum, wgs84_from_enu
from progeo_core.map.places import Places
from test.benchmarks.clustered_map import DIMENSION, FINGERPRINT, Clusters
from test.benchmarks.row import Row, compare

COUNT, PER_DRIVE, BATCH = 1_000_000, 5_000, 256
DATUM = Datum(48.1, 11.5, 500.0)
SIDE_M, SPACING_M, RADIUS_M = 10_000.0, 5.0, 400.0
THUMBNAIL_BYTES = 2_000
QUERIES, TIMED, NEIGHBOURS, DAYS_PLACES = 200, 20, 10, 10_000
_PER_CLUSTER = 10


def why_skipped() -> str:
    """Return what is missing here."""
    return "" if importlib.util.find_spec("lancedb") else "the extra 'fleet' is not installed"


def rows(folder: Path) -> Iterator[Row]:
    """Yield one row per thing that robots and their keepers do with a store."""
    # Robots come with the extra `fleet` only.
    import lancedb

    uri = str(folder / "fleet")
    clusters = Clusters.draw(COUNT)
    store = open_fleet(uri, FINGERPRINT)
    # The plain ways share no cache with ours.
    table = lancedb.connect(uri, read_consistency_interval=datetime.timedelta(0)).open_table(
        "places"
    )
    given_bytes = fill(store, table, clusters, COUNT)
    yield _pull_row("pull before compact", store, table, folder)
    yield _append_row("append of 256 before compact", store, table, 0)
    first_s = processor_s(store.compact)
    yield _pull_row("pull", store, table, folder)
    yield _append_row("append of 256", store, table, 1)
    yield nearest_row(store, table, clusters)
    store.append(*drive(2, clusters, DAYS_PLACES))
    yield Row("compact after 10,000 more", "s", processor_s(store.compact), first_s)
    info = store.info()
    indexes = sum(one.size_bytes or 0 for one in table.list_indices())
    # Files of earlier versions stay for a day.
    held = sum(file.stat().st_size for file in Path(uri).rglob("*") if file.is_file())
    yield Row(
        "bytes of a place",
        "bytes",
        (info.size_bytes + indexes) / info.places,
        given_bytes / COUNT,
        also={"of indexes": indexes / info.places, "with earlier versions": held / info.places},
    )


def fill(
    store: FleetStore,
    table: Any,
    clusters: Clusters,
    count: int,
    thumbnail_bytes: int = THUMBNAIL_BYTES,
) -> int:
    """Add drives of so many places to a store; return the bytes of descriptors and thumbnails."""
    for start in range(0, count, PER_DRIVE):
        number = 1000 + start // PER_DRIVE
        session, places = drive(number, clusters, PER_DRIVE, start, thumbnail_bytes)
        store.append(session, places.rows([0]))
        # Without looking for what is there, which takes long without an index.
        rest = places.rows(np.arange(1, PER_DRIVE))
        table.add(lance_rows.table_of_places(rest, table.schema))
    return count * (2 * DIMENSION + thumbnail_bytes)


def drive(
    number: int,
    clusters: Clusters,
    count: int,
    start: int = 0,
    thumbnail_bytes: int = THUMBNAIL_BYTES,
) -> tuple[FleetSession, FleetPlaces]:
    """Return a drive along streets that turn by right angles, with the descriptors from a row."""
    random = np.random.default_rng(number)
    turns = np.where(random.random(count) < 0.03, random.choice([-1, 1], count), 0).cumsum()
    yaw = np.pi / 2.0 * (turns + random.integers(4))
    way = SPACING_M * np.stack([np.cos(yaw), np.sin(yaw)], axis=-1).cumsum(axis=0)
    way += random.uniform(0.0, SIDE_M, 2)
    # What leaves the city is mirrored back into it.
    way = np.abs((way + SIDE_M) % (2.0 * SIDE_M) - SIDE_M)
    numbers, names = np.arange(count), [""] * count
    session = FleetSession(f"robot{number}", "day", f"{number:016x}", DATUM)
    places = Places(
        position=np.column_stack([way, np.zeros(count)]),
        yaw_rad=yaw.astype(np.float64),
        stamp_ns=numbers * 10**9,
        camera=["front"] * count,
        traverse=names,
        image=[f"{one}.jpg" for one in numbers],
        thumbnail=[random.bytes(thumbnail_bytes) for _ in numbers],
        views=[None] * count,
    )
    descriptors = clusters.around((start + numbers) // _PER_CLUSTER).astype(np.float16)
    return session, fleet_places(session, places, descriptors, Counter())


def _pull_row(case: str, store: FleetStore, table: Any, folder: Path) -> Row:
    middle = wgs84_from_enu([[SIDE_M / 2.0, SIDE_M / 2.0, 0.0]], DATUM)[0]
    region = Region.near(float(middle[0]), float(middle[1]), RADIUS_M)
    pulled = partial(_pull, store, region, folder)

    def plain() -> None:
        columns = table.search().where(lance_rows.IS_PLACE)
        found = columns.select(["lat_deg", "lon_deg", "alt_m"]).to_arrow()
        region.contains(np.column_stack([found[name] for name in found.column_names]))

    row = compare(case, pulled, plain, repeats=3)
    return row._replace(also={**row.also, "processor s": processor_s(pulled), "places": pulled()})


def _pull(store: FleetStore, region: Region, folder: Path) -> int:
    """Pull a region to a new map, with its index; return its number of places."""
    with tempfile.TemporaryDirectory(dir=folder) as target:
        return pull_region(store, region, Path(target) / "pulled.progeo").places


def _append_row(case: str, store: FleetStore, table: Any, number: int) -> Row:
    # One more of each, which are not timed.
    count = 2 * (TIMED + 1) * BATCH
    session, places = drive(number, Clusters.draw(count), count)
    batches = (places.rows(np.arange(BATCH) + start) for start in itertools.count(0, BATCH))

    def plain() -> None:
        rows = lance_rows.table_of_places(next(batches), table.schema)
        table.merge_insert("id").use_index(False).when_not_matched_insert_all().execute(rows)

    return compare(case, lambda: store.append(session, next(batches)), plain, repeats=TIMED)


def nearest_row(store: FleetStore, table: Any, clusters: Clusters) -> Row:
    """Return times and recall of searches in the whole store; plain: comparing all descriptors."""
    queries = clusters.queries(QUERIES).astype(np.float16)
    best = _best(table, queries)
    found = [store.nearest(query, NEIGHBOURS) for query in queries]
    recall = np.mean([one.places.ids[0] == other for one, other in zip(found, best, strict=True)])
    ours, plain = (itertools.cycle(queries) for _ in range(2))
    exact = table.search

    def searched() -> None:
        exact(next(plain)).distance_type("cosine").bypass_vector_index().limit(
            NEIGHBOURS
        ).to_arrow()

    row = compare("nearest", lambda: store.nearest(next(ours), NEIGHBOURS), searched, repeats=TIMED)
    processor_ms = (
        1e3 * processor_s(lambda: [store.nearest(one, NEIGHBOURS) for one in queries]) / QUERIES
    )
    also = {**row.also, "recall@1": float(recall), "processor ms": processor_ms}
    return row._replace(also=also)


def _best(table: Any, queries: np.ndarray) -> list[str]:
    """Return the id of the place that is most like each query, by comparing all."""
    unit = _unit(queries)
    highest, best = np.full(len(queries), -2.0), [""] * len(queries)
    columns = table.search().where(lance_rows.IS_PLACE).select(["id", "descriptor"])
    for batch in columns.to_batches(16_384):
        flat = batch.column("descriptor").flatten().to_numpy(zero_copy_only=False)
        similarity = unit @ _unit(flat.reshape(-1, DIMENSION)).T
        top = similarity.argmax(axis=1)
        for query in np.flatnonzero(similarity.max(axis=1) > highest):
            highest[query] = similarity[query, top[query]]
            best[query] = batch.column("id")[int(top[query])].as_py()
    return best


def _unit(vectors: np.ndarray) -> np.ndarray:
    single = vectors.astype(np.float32)
    return np.asarray(single / np.linalg.norm(single, axis=1, keepdims=True))


def processor_s(function: Callable[[], object]) -> float:
    """Return the processor time (s) of a function, which other programs do not change."""
    before = resource.getrusage(resource.RUSAGE_SELF)
    function()
    after = resource.getrusage(resource.RUSAGE_SELF)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
