"""Search for the 50 nearest of many places, against a flat float32 FAISS index.

Recall is the share of queries whose best place is the flat index's; build is the time from the map
file to a written index; share of flat is the index file against the flat index's bytes.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from pathlib import Path

import faiss
import numpy as np

from progeo_core.map.place_index import PlaceIndex
from progeo_core.map.place_map import PlaceMap
from test.benchmarks.clustered_map import DIMENSION, clustered_map
from test.benchmarks.row import Row, compare

COUNTS = (10_000, 100_000, 1_000_000)
NEIGHBOURS, QUERIES, TIMED = 50, 500, 60


def rows(folder: Path) -> Iterator[Row]:
    """Yield one row per size of map."""
    for count in COUNTS:
        path, clusters = clustered_map(folder, count)
        with PlaceMap.open(path) as place_map:
            yield _row(place_map, clusters.queries(QUERIES), count)


def _row(place_map: PlaceMap, queries: np.ndarray, count: int) -> Row:
    file = place_map.path.with_suffix(".faiss")
    file.unlink(missing_ok=True)
    started = time.perf_counter()
    index = PlaceIndex.open(place_map)
    build_s = time.perf_counter() - started
    flat = faiss.IndexIDMap(faiss.IndexFlatL2(DIMENSION))
    for ids, descriptors in place_map.descriptor_blocks(16_384):
        flat.add_with_ids(descriptors.astype(np.float32), ids)
    best = flat.search(queries, 1)[1][:, 0]
    found = np.array([index.search(query[None], NEIGHBOURS).place_ids[0, 0] for query in queries])
    ours, plain = (itertools.cycle(queries) for _ in range(2))
    return compare(
        f"{count:,} × {DIMENSION}",
        lambda: index.search(next(ours)[None], NEIGHBOURS),
        lambda: flat.search(next(plain)[None], NEIGHBOURS),
        repeats=TIMED,
        also={
            "recall@1": float(np.mean(found == best)),
            "share of flat": file.stat().st_size / (4 * DIMENSION * count),
            "build s": build_s,
        },
    )
