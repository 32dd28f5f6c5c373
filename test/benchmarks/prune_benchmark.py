"""Recall@1 (top-1 within 2.5 m) of held-out images in a pruned map of two passes of one site.

The map is of three in four images of both passes, the others are the queries. Ours is at its
default similarity; plain prunes by raw cosine, from 0.95 on. "tuned" is the cosine that leaves as
many places as ours, which differs from site to site. The corridor's passes differ in light, the
loop's do not.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from progeo_core.descriptors.encoder import Encoder
from progeo_core.errors import ImageError
from progeo_core.images.codec import load_images
from progeo_core.inference.loading import load_encoder
from progeo_core.map.place_map import PlaceMap, Places
from progeo_core.map.prune import PruneSettings, prune_map
from test.benchmarks.place_filter_benchmark import Pass, make_scenes
from test.benchmarks.row import Row

SITES, DISTANCES_M = ("corridor", "loop"), (1.0, 1.5, 2.5)
HELD_OUT, RADIUS_M, COSINE, HALVINGS = 4, 2.5, 0.95, 40

Rows = NDArray[np.int64]


class Site(NamedTuple):
    """Hold two passes: descriptors [n, D], positions [n, 3] (m), number of the pass [n]."""

    descriptors: NDArray[np.float32]
    position: NDArray[np.float64]
    number: Rows

    @classmethod
    def of(cls, *passes: Pass) -> Site:
        """Join passes."""
        lengths = [len(one.position) for one in passes]
        return cls(
            np.concatenate([one.descriptors for one in passes]),
            np.concatenate([one.position for one in passes]),
            np.repeat(np.arange(len(passes)), lengths),
        )

    def recall(self, places: Rows, queries: Rows) -> float:
        """Return the share of queries whose most similar place is near."""
        best = places[(self.descriptors[queries] @ self.descriptors[places].T).argmax(axis=1)]
        away = np.linalg.norm(self.position[best] - self.position[queries], axis=1)
        return float(np.mean(away <= RADIUS_M))


def rows(folder: Path) -> Iterator[Row]:
    """Yield one row per site and distance within which places may stand for each other."""
    encoder = load_encoder()
    scenes = {scene.name: scene for scene in make_scenes(lambda paths: describe(encoder, paths))}
    for name in SITES:
        site = Site.of(scenes[name].database, scenes[name].queries)
        for distance_m in DISTANCES_M:
            path = folder / f"{name}-{distance_m}.progeo"
            yield _row(f"{name}, {distance_m} m", site, encoder, path, distance_m)


def _row(case: str, site: Site, encoder: Encoder, path: Path, distance_m: float) -> Row:
    held = np.arange(len(site.number)) % HELD_OUT == HELD_OUT - 1
    database, queries = np.flatnonzero(~held), np.flatnonzero(held)
    ours = pruned(site, database, encoder, path, distance_m)
    plain = above(site, database, distance_m, COSINE)
    tuned = tuned_cosine(site, database, distance_m, len(ours))
    also = {
        "places before": len(database),
        "places after": len(ours),
        "plain places": len(plain),
        "recall before": site.recall(database, queries),
        "tuned cosine": tuned,
        "tuned recall": site.recall(above(site, database, distance_m, tuned), queries),
    }
    for number in (0, 1):
        own = queries[site.number[queries] == number]
        also[f"places of pass {number + 1}"] = float(np.sum(site.number[ours] == number))
        also[f"recall of pass {number + 1}"] = site.recall(ours, own)
        also[f"plain recall of pass {number + 1}"] = site.recall(plain, own)
    recall = site.recall(ours, queries), site.recall(plain, queries)
    return Row(case, "", *recall, more_is_better=True, also=also)


def describe(encoder: Encoder, paths: list[Path]) -> NDArray[np.float32]:
    """Return the descriptors [n, D] of images."""
    images = [image for image in load_images(paths) if not isinstance(image, ImageError)]
    return np.concatenate([encoder.encode(images[i : i + 8]) for i in range(0, len(images), 8)])


def pruned(site: Site, rows: Rows, encoder: Encoder, path: Path, distance_m: float) -> Rows:
    """Return the rows that `prune_map` leaves."""
    count = len(rows)
    names = [""] * count
    unknown = np.full(count, np.nan)
    with PlaceMap.create(path, encoder.fingerprint) as place_map:
        places = Places(
            site.position[rows],
            unknown,
            np.zeros(count, np.int64),
            names,
            names,
            names,
            [None] * count,
        )
        ids = place_map.append(places, site.descriptors[rows])
        prune_map(place_map, PruneSettings(distance_m=distance_m))
        return rows[np.isin(ids, place_map.ids())]


def tuned_cosine(site: Site, rows: Rows, distance_m: float, count: int) -> float:
    """Return the highest cosine that leaves at most `count` rows."""
    low, high = -1.0, 1.001
    for _ in range(HALVINGS):
        middle = (low + high) / 2.0
        if len(above(site, rows, distance_m, middle)) <= count:
            low = middle
        else:
            high = middle
    return low


def above(site: Site, rows: Rows, distance_m: float, cosine: float) -> Rows:
    """Return the rows without those for which a newer near one with such a cosine stays."""
    kept: list[int] = []
    for row in rows[::-1].tolist():
        apart = np.linalg.norm(site.position[kept] - site.position[row], axis=1)
        alike = site.descriptors[kept] @ site.descriptors[row] >= cosine
        if not np.any(alike & (apart < distance_m)):
            kept.append(row)
    return np.sort(np.array(kept))
