"""Index files that are hostile rather than damaged: the checksum of the file is right."""

import json
import struct
import zlib

import faiss
import numpy as np
import pytest

from progeo_core.errors import DataError
from progeo_core.map.index_file import (
    StaleIndexError,
    StoredIndex,
    read_index_file,
    write_index_file,
)
from progeo_core.map.index_plan import IndexPlan
from progeo_core.map.place_index import PlaceIndex
from progeo_core.map.place_map import PlaceMap

SIGNATURE = b"PGINDEX2"


@pytest.fixture
def index_path(filled_map):
    with PlaceMap.open(filled_map) as place_map:
        PlaceIndex.open(place_map)
    return filled_map.with_suffix(".faiss")


def parts_of(path):
    data = path.read_bytes()
    length, _ = struct.unpack("<I8s", data[-12:])
    seal = json.loads(data[-12 - length : -12])
    return data[: seal["payload_bytes"]], seal


def resealed(path, payload, seal):
    seal |= {"payload_bytes": len(payload), "crc32": zlib.crc32(payload)}
    sealed(path, payload, json.dumps(seal).encode())


def sealed(path, payload, text):
    path.write_bytes(payload + text + struct.pack("<I8s", len(text), SIGNATURE))


def test_an_index_is_read_as_it_was_written(tmp_path, unit_vectors):
    plan = IndexPlan(8)
    index = plan.empty_index()
    index.add_with_ids(unit_vectors(5), np.arange(5))
    write_index_file(tmp_path / "a.faiss", StoredIndex(index, "ab" * 16, plan, {4: 7}))
    places, *rest = read_index_file(tmp_path / "a.faiss")
    assert rest == ["ab" * 16, plan, {4: 7}]
    assert places.ntotal == 5
    with pytest.raises(StaleIndexError, match="it is missing"):
        read_index_file(tmp_path / "b.faiss")


def test_a_file_that_claims_more_than_it_holds_is_refused_before_memory_is_taken(index_path):
    payload, seal = parts_of(index_path)
    # Lengths are 64-bit numbers before what they count; each in turn becomes a million million.
    positions = range(len(payload) - 8)
    counts = [at for at in positions if struct.unpack_from("<q", payload, at)[0] in (5, 40, 80)]
    assert counts
    for at in counts:
        claiming = bytearray(payload)
        struct.pack_into("<q", claiming, at, 10**12)
        resealed(index_path, bytes(claiming), seal)
        try:
            # A number of places that does not fit the map is noticed by its reader.
            assert read_index_file(index_path).places.ntotal == 10**12
        except DataError:
            continue


@pytest.mark.parametrize(
    "change",
    [
        {"revision": 5},
        {"plan": "8"},
        {"plan": [8, 0]},
        {"plan": [8, 0, 0.5]},
        {"plan": [8, -1, 0]},
        {"plan": [8, 16, 4]},
        {"newest": []},
        {"newest": {"five": 1}},
        {"newest": {"5": "x"}},
        {"newest": {"9" * 5000: 1}},
        {"surprise": 1},
    ],
)
def test_a_seal_of_other_types_is_refused_and_the_index_built_again(
    index_path, filled_map, change, caplog
):
    payload, seal = parts_of(index_path)
    good = index_path.read_bytes()
    resealed(index_path, payload, seal | change)
    with pytest.raises(DataError):
        read_index_file(index_path)
    with PlaceMap.open(filled_map) as place_map:
        assert len(PlaceIndex.open(place_map)) == 5
    assert "building the index of the map" in caplog.text
    assert index_path.read_bytes() == good


@pytest.mark.parametrize("text", [b"[" * 100_000, b"{}", b"null", b"\xff", b'{"revision": '])
def test_a_seal_that_is_none_is_refused(index_path, text):
    payload, _ = parts_of(index_path)
    sealed(index_path, payload, text)
    with pytest.raises(DataError, match="it is damaged"):
        read_index_file(index_path)


@pytest.mark.parametrize("kind", ["Flat", "HNSW8", "IVF2,Flat", "SQ8"])
def test_an_index_of_another_kind_is_refused(index_path, unit_vectors, kind, tmp_path):
    other = faiss.index_factory(8, kind)
    other.train(unit_vectors(200))
    other.add(unit_vectors(5))
    _, seal = parts_of(index_path)
    resealed(index_path, faiss.serialize_index(other).tobytes(), seal)
    with pytest.raises(DataError, match="it is of another kind than it says"):
        read_index_file(index_path)
