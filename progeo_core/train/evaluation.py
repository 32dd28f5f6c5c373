"""Recall of a model on a benchmark: describe the images, search, count right places."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from progeo_core.records.image_list import ImageList
from progeo_core.train.benchmark import Benchmark, Recall, predict, recall_of
from progeo_core.train.checkpoint import replace_file
from progeo_core.train.descriptors import Describer, cached_descriptors
from progeo_core.train.journal import Journal


class Measured(NamedTuple):
    """Recall on a benchmark, the predicted rows [q, 20] of the database, and their distances.

    distances: [q, 20] L2 distances of the descriptors, NaN where there is no prediction.
    """

    recall: Recall
    predictions: NDArray[np.int64]
    distances: NDArray[np.float32]


def measure(
    describer: Describer, benchmark: Benchmark, radius_m: float, cache: Path, journal: Journal
) -> Measured:
    """Measure the recall on a benchmark; descriptors are kept in `cache` and found there again.

    Every process describes its share of the images.
    """
    where = journal.where
    database = _describe(describer, benchmark.database.images, cache, journal)
    queries = _describe(describer, benchmark.queries.images, cache, journal)
    skipped = int(np.isnan(database[:, 0]).sum() + np.isnan(queries[:, 0]).sum())

    def search() -> Measured:
        predictions = predict(queries, database, where.device)
        recall = recall_of(benchmark, predictions, radius_m, skipped)
        return Measured(recall, predictions, _distances(queries, database, predictions))

    return where.from_main(search)


def measure_once(
    describer: Describer, benchmark: Benchmark, radius_m: float, scratch: Path, journal: Journal
) -> Recall:
    """Measure the recall of a network that changes after this; its descriptors are not kept."""
    recall = measure(describer, benchmark, radius_m, scratch, journal).recall
    journal.where.wait()
    journal.where.from_main(lambda: shutil.rmtree(scratch))
    return recall


def write_recalls(recalls: Iterable[Recall], path: Path) -> None:
    """Write the figures of several sets of queries as JSON."""
    content = {"schema": 1, "results": [recall.to_json() for recall in recalls]}
    replace_file(path, (json.dumps(content, indent=2) + "\n").encode())


def _describe(
    describer: Describer, images: ImageList, cache: Path, journal: Journal
) -> NDArray[np.float32]:
    share = -(-len(images) // journal.where.world)
    with journal.bar(f"describing {images.folder.name}", share) as bar:
        described = cached_descriptors(describer, images, cache, journal.where, bar.advance)
    journal.skip(described.skipped)
    return described.rows


def _distances(
    queries: NDArray[np.float32], database: NDArray[np.float32], predictions: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Return the L2 distances [q, n] of predictions, reading only their rows of the database."""
    distances = np.full(predictions.shape, np.nan, np.float32)
    for query, rows in enumerate(predictions):
        found = rows >= 0
        distances[query, found] = np.linalg.norm(database[rows[found]] - queries[query], axis=1)
    return distances
