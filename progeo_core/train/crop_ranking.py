"""One ranking of the five that the crops of a query give, as the VG benchmark has them.

Its `--test_method nearest_crop` and `maj_voting` (Berton et al., CVPR 2022, "Deep Visual
Geo-localization Benchmark").
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]
Distances = NDArray[np.float32]

CROPS = 5
# What a crop's vote takes off the squared distance, and among how many of its best it votes.
_VOTE, _VOTED = 0.01, (1, 5, 10)


def rank_crops(found: Rows, distances: Distances, *, voting: bool) -> tuple[Rows, Distances]:
    """Join the predictions [5 q, n] of the crops to those of their queries [q, n], nearest first.

    found: rows of the database, -1 for none. distances: L2, NaN for none. Of an image that several
    crops found, the nearest counts. voting: images among the best of more than one crop come
    nearer, by how many these are; distances are returned as they were.
    """
    count = found.shape[1]
    rows = np.full((len(found) // CROPS, count), -1, np.int64)
    nearest = np.full(rows.shape, np.nan, np.float32)
    for query in range(len(rows)):
        own = slice(query * CROPS, (query + 1) * CROPS)
        score = distances[own].astype(np.float64) ** 2
        if voting:
            score -= _votes(found[own])
        order = np.argsort(score, axis=None, kind="stable")
        images = found[own].ravel()[order]
        _, first = np.unique(images, return_index=True)
        kept = order[np.sort(first[images[first] >= 0])][:count]
        rows[query, : len(kept)] = found[own].ravel()[kept]
        nearest[query, : len(kept)] = distances[own].ravel()[kept]
    return rows, nearest


def _votes(found: Rows) -> NDArray[np.float64]:
    """Return what the votes take off each squared distance [5, n] of a query's crops."""
    taken = np.zeros(found.shape)
    for best in _VOTED:
        voted = found[:, :best]
        _, image, votes = np.unique(voted, return_inverse=True, return_counts=True)
        share = np.where(votes > 1, votes / best, 0.0)
        taken[:, :best] += _VOTE * share[image.reshape(voted.shape)]
    return taken
