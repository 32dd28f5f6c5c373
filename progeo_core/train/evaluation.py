"""Recall of a model on a benchmark: describe the images, search, count right places."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from progeo_core.descriptors.projection import learn_projection
from progeo_core.records.image_list import ImageList
from progeo_core.train.benchmark import RECALL_AT, Benchmark, Recall, predict, recall_of
from progeo_core.train.checkpoint import replace_file
from progeo_core.train.crop_ranking import rank_crops
from progeo_core.train.descriptors import Describer, cached_descriptors
from progeo_core.train.journal import Journal
from progeo_core.train.settings import HARD_RESIZE, MAJ_VOTING, RANKED_CROPS

Rows = NDArray[np.float32]

# Images of the database that components are learned from, evenly taken.
_LEARNED_FROM = 4_000
# Of unit length, as computed in half precision.
_LENGTH_TOLERANCE = 0.01


class Protocol(NamedTuple):
    """What counts as right, and how descriptors are searched.

    radius_m: distance within which a prediction is right. counts: N of every Recall@N, ascending.
    pca_dim: principal components of the database that descriptors are shortened to, 0 for all.
    test_method: of the crops of queries, where these are ranked (see `query_describer`).
    """

    radius_m: float
    counts: tuple[int, ...] = RECALL_AT
    pca_dim: int = 0
    test_method: str = HARD_RESIZE


class Measured(NamedTuple):
    """Recall on a benchmark, the predicted rows [q, n] of the database, and their distances.

    n: 20, or the largest N of a recall where that is larger. distances: [q, n] L2 distances of the
    descriptors, NaN where there is no prediction.
    """

    recall: Recall
    predictions: NDArray[np.int64]
    distances: NDArray[np.float32]


def measure(
    describer: Describer,
    benchmark: Benchmark,
    protocol: Protocol,
    cache: Path,
    journal: Journal,
    of_queries: Describer | None = None,
) -> Measured:
    """Measure the recall on a benchmark; descriptors are kept in `cache` and found there again.

    of_queries: describer of the queries where it is not that of the database. Every process
    describes its share of the images. Descriptors of a database that are not of unit length are
    searched as they are (L2 distance, as published for the ViTs), and scaled to it beside that.
    """
    where = journal.where
    database = _describe(describer, benchmark.database.images, cache, journal)
    queries = _describe(of_queries or describer, benchmark.queries.images, cache, journal)
    skipped = int(np.isnan(database[:, 0]).sum() + np.isnan(queries[:, 0]).sum())

    def search() -> Measured:
        apart = queries.reshape(-1, database.shape[1])
        rows = _shortened(apart, database, protocol.pca_dim)
        predictions, distances = _ranked(*rows, protocol, where.device)
        recall = recall_of(benchmark, predictions, protocol.radius_m, skipped, protocol.counts)
        if not _has_unit_length(rows[1][:_LEARNED_FROM]):
            scaled, _ = _ranked(*rows, protocol, where.device, unit_length=True)
            beside = recall_of(benchmark, scaled, protocol.radius_m, counts=protocol.counts)
            recall = dataclasses.replace(recall, unit_length_at=beside.at)
        return Measured(recall, predictions, distances)

    return where.from_main(search)


def measure_once(
    describer: Describer, benchmark: Benchmark, radius_m: float, scratch: Path, journal: Journal
) -> Measured:
    """Measure the recall of a network that changes after this; its descriptors are not kept."""
    measured = measure(describer, benchmark, Protocol(radius_m), scratch, journal)
    journal.where.wait()
    journal.where.from_main(lambda: shutil.rmtree(scratch))
    return measured


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


def _shortened(queries: Rows, database: Rows, dimension: int) -> tuple[Rows, Rows]:
    """Return both shortened to principal components of the database; 0 leaves them as they are."""
    if not dimension:
        return queries, database
    usable = np.flatnonzero(~np.isnan(database[:, 0]))
    evenly = np.linspace(0, len(usable) - 1, min(len(usable), _LEARNED_FROM)).astype(np.int64)
    projection = learn_projection(database[usable[evenly]], dimension)
    return projection.apply(queries), projection.apply(database)


def _ranked(
    queries: Rows,
    database: Rows,
    protocol: Protocol,
    device: torch.device,
    *,
    unit_length: bool = False,
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return the predictions of the queries, by all their crops, and the distances."""
    count = max(*RECALL_AT, *protocol.counts)
    found = predict(queries, database, device, count, unit_length=unit_length)
    distances = _distances(queries, database, found, unit_length)
    if protocol.test_method not in RANKED_CROPS:
        return found, distances
    return rank_crops(found, distances, voting=protocol.test_method == MAJ_VOTING)


def _has_unit_length(rows: Rows) -> bool:
    length = np.linalg.norm(rows, axis=1)
    return not bool((np.abs(length - 1.0) > _LENGTH_TOLERANCE).any())


def _distances(
    queries: Rows, database: Rows, predictions: NDArray[np.int64], unit_length: bool
) -> NDArray[np.float32]:
    """Return the L2 distances [q, n] of predictions, reading only their rows of the database."""
    distances = np.full(predictions.shape, np.nan, np.float32)
    for query, rows in enumerate(predictions):
        found = rows >= 0
        near, own = database[rows[found]], queries[query]
        if unit_length:
            near = near / np.linalg.norm(near, axis=1, keepdims=True)
            own = own / np.linalg.norm(own)
        distances[query, found] = np.linalg.norm(near - own, axis=1)
    return distances
