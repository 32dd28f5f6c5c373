"""Recall of descriptors on a benchmark: a database, queries, and where both were taken."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from progeo_core.errors import DataError
from progeo_core.records.cosplace_names import read_names
from progeo_core.records.image_list import ImageList, list_images
from progeo_core.train.search import nearest

RECALL_AT = (1, 5, 10, 20)
_SCHEMA = 1
_QUERIES = ("queries", "queries_v1", "queries_v2", "queries_night", "queries_occlusion")
# Where the usual downloader puts the test images of common sets.
COMMON_SETS = {
    "pitts30k": "pitts30k/images/test",
    "tokyo247": "tokyo247/images/test",
    "msls": "msls/images/val",
    "sf_xl": "sf_xl/test",
    "st_lucia": "st_lucia/images/test",
}
_DATASETS_VARIABLE = "PROGEO_DATASETS"

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
    """

    name: str
    at: dict[int, float]
    radius_m: float
    queries: int
    with_positives: int
    database: int
    skipped: int = 0

    def __str__(self) -> str:
        """Return one line with recalls in percent, counts and protocol."""
        recalls = ", ".join(f"R@{count}: {100 * share:.1f}" for count, share in self.at.items())
        return (
            f"{self.name}: {recalls} ({self.queries} queries, {self.with_positives} with a"
            f" positive within {self.radius_m:g} m, all counted; {self.database} database images,"
            f" {self.skipped} images skipped)"
        )

    def to_json(self) -> dict[str, Any]:
        """Return the figures with the keys of the documented schema."""
        return {
            "schema": _SCHEMA,
            "name": self.name,
            "recall_at": {str(count): share for count, share in self.at.items()},
            "queries": self.queries,
            "database": self.database,
            "skipped": self.skipped,
            "protocol": {
                "radius_m": self.radius_m,
                "with_positives": self.with_positives,
                "counted": "all queries; those without a positive count as missed",
            },
        }


def find_benchmarks(folder: str) -> tuple[Benchmark, ...]:
    """Read `database/` and each of `queries*/` in a folder, or in that of a common set's name.

    Common sets are looked for under $PROGEO_DATASETS (default: datasets/). Raises `DataError` for
    missing folders and for names without positions.
    """
    root = Path(folder)
    if folder in COMMON_SETS and not root.is_dir():
        root = Path(os.environ.get(_DATASETS_VARIABLE, "datasets")) / COMMON_SETS[folder]
    names = [name for name in _QUERIES if (root / name).is_dir()]
    if not names or not (root / "database").is_dir():
        raise DataError(f"{root}: needs database/ and one or more of {', '.join(_QUERIES)}")
    database = read_places(root / "database")
    return tuple(Benchmark(name, database, read_places(root / name)) for name in names)


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


def predict(
    queries: NDArray[np.float32], database: NDArray[np.float32], device: torch.device
) -> NDArray[np.int64]:
    """Return the rows [q, 20] of the nearest database descriptors, best first, -1 for none."""
    return nearest(queries, database, max(RECALL_AT), device)


def right_predictions(
    benchmark: Benchmark, predictions: NDArray[np.int64], radius_m: float
) -> NDArray[np.bool_]:
    """Return which predictions [q, n] lie within `radius_m` of their query.

    Images of different UTM zones are never near.
    """
    queries, database = benchmark.queries, benchmark.database
    distance = np.hypot(
        database.east_m[predictions] - queries.east_m[:, None],
        database.north_m[predictions] - queries.north_m[:, None],
    )
    same_zone = database.zone[predictions] == queries.zone[:, None]
    return np.asarray((distance <= radius_m) & same_zone & (predictions >= 0))


def recall_of(
    benchmark: Benchmark, predictions: NDArray[np.int64], radius_m: float, skipped: int = 0
) -> Recall:
    """Return the recalls of predictions [q, 20] (rows of the database, best first)."""
    right = right_predictions(benchmark, predictions, radius_m)
    return Recall(
        name=benchmark.name,
        at={count: float(right[:, :count].any(axis=1).mean()) for count in RECALL_AT},
        radius_m=radius_m,
        queries=len(benchmark.queries.images),
        with_positives=_count_with_positives(benchmark, radius_m),
        database=len(benchmark.database.images),
        skipped=skipped,
    )


def _count_with_positives(benchmark: Benchmark, radius_m: float) -> int:
    """Count queries with a database image within the radius, looking only near them."""
    queries, database = benchmark.queries, benchmark.database
    order = np.argsort(database.east_m)
    east, north, zone = (
        column[order] for column in (database.east_m, database.north_m, database.zone)
    )
    first = np.searchsorted(east, queries.east_m - radius_m, "left")
    last = np.searchsorted(east, queries.east_m + radius_m, "right")
    count = 0
    for query, near in enumerate(map(slice, first, last)):
        offset = np.hypot(east[near] - queries.east_m[query], north[near] - queries.north_m[query])
        count += bool(np.any((offset <= radius_m) & (zone[near] == queries.zone[query])))
    return count
