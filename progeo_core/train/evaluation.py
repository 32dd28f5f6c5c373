"""Recall of a model on a benchmark: describe the images, search, count right places."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Sequence
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
    """Recall on a benchmark, and the predicted rows [q, 20] of the database."""

    recall: Recall
    predictions: NDArray[np.int64]


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
        return Measured(recall_of(benchmark, predictions, radius_m, skipped), predictions)

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


def mean_recall1(recalls: Sequence[Recall]) -> float:
    """Return the mean of R@1 over sets of queries: what the best model is chosen by."""
    return float(np.mean([recall.at[1] for recall in recalls]))
