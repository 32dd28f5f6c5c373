"""The search on a GPU: what needs none of it is tested with a second index on the CPU."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest

from progeo_core.map import index_plan, place_index
from progeo_core.map.gpu_index import MAX_NEIGHBOURS, copy_to_gpu, has_gpu
from progeo_core.map.index_plan import EXACT_PLACES, plan_index
from progeo_core.map.place_index import PlaceIndex
from progeo_core.map.place_map import PlaceMap

MB = 1_000_000
needs_gpu = pytest.mark.skipif(not has_gpu(), reason="needs a GPU and faiss-gpu")


class Copy:
    """A copy of an index that counts its searches, and is full after so many places."""

    def __init__(self, index: Any, room: float = np.inf) -> None:
        self.index, self.room, self.searches = faiss.clone_index(index), room, 0

    def search(self, queries: Any, k: int) -> Any:
        assert k <= MAX_NEIGHBOURS
        self.searches += 1
        return self.index.search(queries, k)

    def add_with_ids(self, descriptors: Any, ids: Any) -> None:
        if self.index.ntotal + len(ids) > self.room:
            raise RuntimeError("cudaMalloc error out of memory [2]")
        self.index.add_with_ids(descriptors, ids)


def test_what_faiss_without_gpus_says(filled_map: Path) -> None:
    with PlaceMap.open(filled_map) as place_map:
        index = PlaceIndex.open(place_map)
        assert (copy_to_gpu(index._index) is not None) == has_gpu()


def test_maps_that_fit_are_compared_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_plan, "has_gpu", lambda: True)
    assert plan_index(200_000, 512, 256 * MB).is_exact
    assert not plan_index(1_000_000, 512, 256 * MB).is_exact
    monkeypatch.setattr(index_plan, "has_gpu", lambda: False)
    assert not plan_index(EXACT_PLACES + 1, 512, 256 * MB).is_exact


def test_the_copy_is_searched_and_grows(
    filled_map: Path, make_places: Any, unit_vectors: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(place_index, "copy_to_gpu", Copy)
    with PlaceMap.open(filled_map, writable=True) as place_map:
        index = PlaceIndex.open(place_map)
        new = unit_vectors(3, seed=9)
        ids = place_map.append(make_places(3), new)
        index.add(ids, new)
        assert index.search(new, 1).place_ids[:, 0].tolist() == ids.tolist()
        assert index._on_gpu.searches == 1
        # More neighbours than a GPU can select.
        assert index.search(new, MAX_NEIGHBOURS + 1).place_ids[:, 0].tolist() == ids.tolist()
        assert index._on_gpu.searches == 1


def test_a_full_gpu_gives_way_to_the_cpu(
    filled_map: Path,
    make_places: Any,
    unit_vectors: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(place_index, "copy_to_gpu", lambda index: Copy(index, room=6))
    with PlaceMap.open(filled_map, writable=True) as place_map:
        index = PlaceIndex.open(place_map)
        new = unit_vectors(3, seed=9)
        index.add(place_map.append(make_places(3), new), new)
        assert index.search(new, 1).similarity.min() > 0.99
        (record,) = caplog.records
        assert record.levelno == logging.WARNING
        assert "the GPU is full" in record.message


@needs_gpu
def test_a_gpu_finds_what_the_cpu_finds(tmp_path: Path, fingerprint: Any, make_places: Any) -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(500, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    with PlaceMap.create(tmp_path / "a.progeo", fingerprint) as place_map:
        place_map.append(make_places(500), vectors)
        index = PlaceIndex.open(place_map)
        found = index.search(vectors[:50], 5)
        index._on_gpu = None
        np.testing.assert_array_equal(found.place_ids, index.search(vectors[:50], 5).place_ids)
