"""Open a map with its index and answer a first descriptor, against reading it all.

Plain reads every place and descriptor into a flat float32 FAISS index, and searches that.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from pathlib import Path

import faiss
import numpy as np
from numpy.typing import NDArray

from progeo_core.descriptors.fingerprint import ModelFingerprint
from progeo_core.images.codec import Image
from progeo_core.localization.localizer import Localizer
from progeo_core.map.place_index import PlaceIndex
from progeo_core.map.place_map import PlaceMap
from test.benchmarks.clustered_map import DIMENSION, FINGERPRINT, clustered_map
from test.benchmarks.row import Row, compare

COUNTS = (10_000, 100_000, 1_000_000)


class NoEncoder:
    """Stand for the model of the synthetic descriptors."""

    @property
    def fingerprint(self) -> ModelFingerprint:
        """Identify the synthetic model."""
        return FINGERPRINT

    def encode(self, images: Sequence[Image]) -> NDArray[np.float32]:
        """Describe nothing: the benchmark gives descriptors."""
        raise NotImplementedError


def rows(folder: Path) -> Iterator[Row]:
    """Yield one row per size of map."""
    for count in COUNTS:
        path, clusters = clustered_map(folder, count)
        with PlaceMap.open(path) as place_map:
            PlaceIndex.open(place_map)
        query = clusters.queries(1)[0]
        yield compare(
            f"{count:,} × {DIMENSION}",
            functools.partial(_first_answer, path, query),
            functools.partial(_read_all, path, query),
            repeats=3,
        )


def _first_answer(path: Path, query: NDArray[np.float32]) -> None:
    Localizer.open(path, NoEncoder()).localize_descriptor(query)


def _read_all(path: Path, query: NDArray[np.float32]) -> None:
    with PlaceMap.open(path) as place_map:
        places = place_map.places()
        flat = faiss.IndexFlatL2(DIMENSION)
        flat.add(place_map.descriptors().astype(np.float32))
        _, rows = flat.search(query[None], 50)
        assert np.isfinite(places.position[rows[0]]).all()
