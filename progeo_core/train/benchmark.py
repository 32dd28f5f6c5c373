"""Recall of descriptors on a benchmark: a database, queries, and where both were taken."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from progeo_core.errors import DataError
from progeo_core.geo import utm_in_zone
from progeo_core.records.cosplace_names import read_names
from progeo_core.records.image_list import ImageList, list_images
from progeo_core.records.zoneless_utm import matched_zone
from progeo_core.train.search import nearest
from progeo_core.train.set_folders import find_benchmark_folder

RECALL_AT = (1, 5, 10, 20)
_SCHEMA = 1
_QUERIES = ("queries", "queries_v1", "queries_v2", "queries_night", "queries_occlusion")

FloatArray = NDArray[np.float64]


class Places(NamedTuple):
    """Images and where they were taken: UTM zone, east and north (m), each [n]."""

    images: ImageList
    zone: NDArray[np.int8]
    east_m: FloatArray
    north_m: FloatArray


class Benchmark(NamedTuple):
    """Database and one set of queries.

    name: of the queries' folder.
    """

    name: str
    database: Places
    queries: Places


@dataclasses.dataclass(frozen=True)
class Recall:
    """Recalls of one set of queries, with the protocol and the counts behind them.

    at: share of all queries with one of the N nearest database images within the radius, by N.
    with_positives: queries that have any database image within the radius.
    skipped: unreadable images; such queries count as missed.
    unit_length_at: the same as `at` for descriptors scaled to unit length, as maps keep them; None
    where the network gives them so.
    """

    name: str
    at: dict[int, float]
    radius_m: float
    queries: int
    with_positives: int
    database: int
    skipped: int = 0
    unit_length_at: dict[int, float] | None = None

    def __str__(self) -> str:
        """Return one line with recalls in percent, counts and protocol."""
        recalls = _percent(self.at)
        if self.unit_length_at is not None:
            recalls += f"; scaled to unit length, as in maps, {_percent(self.unit_length_at)}"
        return (
            f"{self.name}: {recalls} ({self.queries} queries, {self.with_positives} with a"
            f" positive within {self.radius_m:g} m, all counted; {self.database} database images,"
            f" {self.skipped} images skipped)"
        )

    def to_json(self) -> dict[str, Any]:
        """Return the figures with the keys of the documented schema."""
        scaled = self.unit_length_at
        return {
            "schema": _SCHEMA,
            "name": self.name,
            "recall_at": _by_text(self.at),
            **({} if scaled is None else {"unit_length": {"recall_at": _by_text(scaled)}}),
            "queries": self.queries,
            "database": self.database,
            "skipped": self.skipped,
            "protocol": {
                "radius_m": self.radius_m,
                "with_positives": self.with_positives,
                "counted": "all queries; those without a positive count as missed",
            },
        }


def _percent(at: dict[int, float]) -> str:
    return ", ".join(f"R@{count}: {100 * share:.1f}" for count, share in at.items())


def _by_text(at: dict[int, float]) -> dict[str, float]:
    return {str(count): share for count, share in at.items()}


def find_benchmarks(
    folder: str,
    split: str = "test",
    database_folder: str = "database",
    queries_folder: str = "",
) -> tuple[Benchmark, ...]:
    """Read the database and each set of queries of a folder or a set (see `find_benchmark_folder`).

    split: "val" or "test". queries_folder: empty for every one of the usual `queries*` folders.
    Raises `DataError` for missing folders and for names without positions.
    """
    root = find_benchmark_folder(folder, split, database_folder)
    usual = (queries_folder,) if queries_folder else _QUERIES
    names = [name for name in usual if (root / name).is_dir()]
    if not names:
        raise DataError(
            f"{root}: needs {' or '.join(f'{name}/' for name in usual)} beside {database_folder}/;"
            " other names: --queries_folder"
        )
    database = read_places(root / database_folder)
    return tuple(_matched(name, database, read_places(root / name)) for name in names)


def read_places(folder: Path) -> Places:
    """Read the positions in the '@' names under a folder."""
    images = list_images(folder)
    columns = read_names(images.names())
    unknown = np.flatnonzero(~np.isfinite(columns.east_m + columns.north_m))
    if unknown.size:
        raise DataError(
            f"{images[int(unknown[0])]}: no east and north in the name; {unknown.size} of"
            f" {len(images)} images are like this: give them UTM or local metres"
        )
    return Places(images, columns.signed_zone(), columns.east_m, columns.north_m)


def _matched(name: str, database: Places, queries: Places) -> Benchmark:
    """Pair a database with queries; where only one of them has UTM zones, the other gets them."""
    places = (database, queries)
    metres = [np.stack([one.east_m, one.north_m], axis=-1) for one in places]
    zones = [
        matched_zone(str(one.images.folder), one.zone, own, other.zone, others)
        for one, own, other, others in zip(
            places, metres, reversed(places), reversed(metres), strict=True
        )
    ]
    return Benchmark(name, database._replace(zone=zones[0]), queries._replace(zone=zones[1]))


def predict(
    queries: NDArray[np.float32],
    database: NDArray[np.float32],
    device: torch.device,
    count: int = max(RECALL_AT),
    *,
    unit_length: bool = False,
) -> NDArray[np.int64]:
    """Return the rows [q, count] of the nearest database descriptors, best first, -1 for none.

    unit_length: scale descriptors to that first, as maps keep them.
    """
    return nearest(queries, database, count, device, unit_length=unit_length)


def right_predictions(
    benchmark: Benchmark, predictions: NDArray[np.int64], radius_m: float
) -> NDArray[np.bool_]:
    """Return which predictions [q, n] lie within `radius_m` of their query."""
    return np.asarray(distances_m(benchmark, predictions) <= radius_m)


def distances_m(benchmark: Benchmark, predictions: NDArray[np.int64]) -> FloatArray:
    """Return how far predictions [q, n] lie from their query, in the query's UTM zone.

    NaN where there is no prediction, and for zones far away.
    """
    queries, database = benchmark.queries, benchmark.database
    distance = np.full(predictions.shape, np.nan)
    for zone in np.unique(queries.zone).tolist():
        rows = queries.zone == zone
        east, north = utm_in_zone(database.east_m, database.north_m, database.zone, zone)
        distance[rows] = np.hypot(
            east[predictions[rows]] - queries.east_m[rows, None],
            north[predictions[rows]] - queries.north_m[rows, None],
        )
    return np.where(predictions >= 0, distance, np.nan)


def recall_of(
    benchmark: Benchmark,
    predictions: NDArray[np.int64],
    radius_m: float,
    skipped: int = 0,
    counts: Sequence[int] = RECALL_AT,
) -> Recall:
    """Return the recalls at each count of predictions [q, n] (rows of the database, best first)."""
    right = right_predictions(benchmark, predictions, radius_m)
    return Recall(
        name=benchmark.name,
        at={count: float(right[:, :count].any(axis=1).mean()) for count in counts},
        radius_m=radius_m,
        queries=len(benchmark.queries.images),
        with_positives=_count_with_positives(benchmark, radius_m),
        database=len(benchmark.database.images),
        skipped=skipped,
    )


def _count_with_positives(benchmark: Benchmark, radius_m: float) -> int:
    """Count queries with a database image within the radius, looking only near them."""
    queries, database = benchmark.queries, benchmark.database
    count = 0
    for zone in np.unique(queries.zone).tolist():
        east, north = utm_in_zone(database.east_m, database.north_m, database.zone, zone)
        order = np.argsort(east)  # NaN, of zones far away, comes last
        east, north = east[order], north[order]
        own_east, own_north = (
            column[queries.zone == zone] for column in (queries.east_m, queries.north_m)
        )
        first = np.searchsorted(east, own_east - radius_m, "left")
        last = np.searchsorted(east, own_east + radius_m, "right")
        for query, near in enumerate(map(slice, first, last)):
            offset = np.hypot(east[near] - own_east[query], north[near] - own_north[query])
            count += bool(np.any(offset <= radius_m))
    return count
