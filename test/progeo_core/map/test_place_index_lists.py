"""The index of large maps, on a small one that is told to be large."""

import logging
from typing import Any

import faiss
import numpy as np
import pytest

from progeo_core.descriptors.fingerprint import ModelFingerprint
from progeo_core.map import index_plan
from progeo_core.map.index_file import read_index_file, write_index_file
from progeo_core.map.place_index import PlaceIndex
from progeo_core.map.place_map import PlaceMap

DIMENSION, PLACES = 32, 3000
QUERIES = slice(None, None, 30)


def clustered(count: int, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    centres = random.normal(size=(count // 10, DIMENSION))
    vectors = np.repeat(centres, 10, axis=0) + 0.5 * random.normal(size=(count, DIMENSION))
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit.astype(np.float16).astype(np.float32)


@pytest.fixture(autouse=True)
def few_places_are_many(monkeypatch):
    monkeypatch.setattr(index_plan, "EXACT_PLACES", 100)


@pytest.fixture
def large_map(tmp_path, make_places):
    path = tmp_path / "large.progeo"
    model = ModelFingerprint("tiny+GeM", DIMENSION, "64x64 bilinear", "ab" * 32, name="tiny")
    with PlaceMap.create(path, model) as place_map:
        place_map.append(make_places(PLACES), clustered(PLACES, 0))
    return path


def share_of_exact(index, descriptors, ids, queries):
    best = ids[np.argmax(queries @ descriptors.T, axis=1)]
    return np.mean(index.search(queries, 5).place_ids[:, 0] == best)


def test_finds_what_an_exact_search_finds(large_map):
    with PlaceMap.open(large_map) as place_map:
        index = PlaceIndex.open(place_map)
        assert not index.plan.is_exact
        descriptors, ids = place_map.descriptors().astype(np.float32), place_map.ids()
        random = np.random.default_rng(1)
        queries = descriptors[QUERIES] + 0.05 * random.normal(size=(100, DIMENSION))
        queries /= np.linalg.norm(queries, axis=1, keepdims=True)
        assert share_of_exact(index, descriptors, ids, queries) >= 0.99
        found = index.search(queries, 5)
        true = np.einsum("qd,qkd->qk", queries, descriptors[found.place_ids - 1])
        np.testing.assert_allclose(found.similarity, true, atol=2e-3)
        assert (np.diff(found.similarity, axis=1) <= 0).all()
    float32_bytes = 4 * DIMENSION * PLACES
    assert large_map.with_suffix(".faiss").stat().st_size < 0.25 * float32_bytes


@pytest.mark.slow
def test_a_file_grows_with_its_map(large_map, make_places, caplog):
    fresh = clustered(500, 2)
    with PlaceMap.open(large_map, writable=True) as place_map:
        PlaceIndex.open(place_map)
        caplog.set_level(logging.INFO)
        caplog.clear()
        place_map.delete(np.arange(1, 300))
        ids = place_map.append(make_places(500), fresh)
        index = PlaceIndex.open(place_map)
        assert not caplog.records
        assert len(index) == PLACES - 299 + 500
        assert share_of_exact(index, fresh, ids, fresh) == 1.0
        assert index.search(fresh, 5).place_ids.min() >= 300
        again = PlaceIndex.open(place_map).search(fresh, 5)
        np.testing.assert_array_equal(again.place_ids, index.search(fresh, 5).place_ids)


def test_added_places_are_found_at_once(large_map, make_places):
    fresh = clustered(20, 3)
    with PlaceMap.open(large_map, writable=True) as place_map:
        index = PlaceIndex.open(place_map)
        ids = place_map.append(make_places(20), fresh)
        index.add(ids, fresh)
        assert index.search(fresh, 1).place_ids[:, 0].tolist() == ids.tolist()


def test_a_map_of_another_size_gets_another_plan(large_map, make_places, caplog):
    with PlaceMap.open(large_map, writable=True) as place_map:
        PlaceIndex.open(place_map)
        place_map.delete(np.arange(1, 2950))
        caplog.set_level(logging.INFO)
        assert PlaceIndex.open(place_map).plan.is_exact
        assert "has another size now" in caplog.text


def test_fewer_candidates_than_asked_for(large_map):
    with PlaceMap.open(large_map) as place_map:
        index = PlaceIndex.open(place_map)
        found = index.search(clustered(10, 4), PLACES + 5)
    assert (found.place_ids[:, -5:] == -1).all()
    assert np.isneginf(found.similarity[found.place_ids == -1]).all()
    assert np.isfinite(found.similarity[found.place_ids >= 0]).all()


@pytest.mark.parametrize("what", ["swapped", "out of range", "others' descriptors"])
def test_a_sealed_file_of_other_places_is_rebuilt(large_map, what, caplog):
    """Its checksum is right: somebody, or a program with a fault, wrote it so."""
    path = large_map.with_suffix(".faiss")
    with PlaceMap.open(large_map) as place_map:
        PlaceIndex.open(place_map)
        ids, vectors = place_map.ids(), clustered(PLACES, 0)
        stored = read_index_file(path)
        stored.places.reset()
        given = {"swapped": ids[::-1].copy(), "out of range": ids + 10**6}
        added = clustered(PLACES, 1) if what == "others' descriptors" else vectors
        stored.places.add_with_ids(added, given.get(what, ids))
        write_index_file(path, stored)
        found = PlaceIndex.open(place_map).search(vectors[QUERIES], 1)
        np.testing.assert_array_equal(found.place_ids[:, 0], ids[QUERIES])
    assert "as it does not hold the places of the map" in caplog.text


def test_a_sealed_file_that_searches_no_lists_is_rebuilt(large_map, caplog):
    path = large_map.with_suffix(".faiss")
    with PlaceMap.open(large_map) as place_map:
        PlaceIndex.open(place_map)
        stored = read_index_file(path)
        searched: Any = faiss.downcast_index(stored.places)
        searched.nprobe = 0
        write_index_file(path, stored)
        PlaceIndex.open(place_map)
    assert "as it is of another kind than it says" in caplog.text
