import logging
import os

import faiss
import numpy as np
import pytest

from progeo_core.errors import DataError, UsageError
from progeo_core.map.index_file import read_index_file, write_index_file
from progeo_core.map.place_index import PlaceIndex
from progeo_core.map.place_map import PlaceMap


@pytest.fixture
def index_path(filled_map):
    return filled_map.with_suffix(".faiss")


def cosines(queries, place_map):
    stored = place_map.descriptors().astype(np.float32)
    return np.asarray(queries, np.float32) @ stored.T


def test_search_is_exact_and_gives_cosines(tmp_path, fingerprint, make_places, unit_vectors):
    with PlaceMap.create(tmp_path / "a.progeo", fingerprint) as place_map:
        ids = place_map.append(make_places(500), unit_vectors(500))
        index = PlaceIndex.open(place_map)
        queries = unit_vectors(20, seed=1)
        found = index.search(queries, 5)
        similarity = cosines(queries, place_map)
        order = np.argsort(-similarity, axis=1)[:, :5]
        np.testing.assert_array_equal(found.place_ids, ids[order])
        expected = np.take_along_axis(similarity, order, axis=1)
        # float16 vectors are not quite of unit length.
        np.testing.assert_allclose(found.similarity, expected, atol=1e-3)
        assert found.place_ids.dtype == np.int64
        assert found.similarity.dtype == np.float32


def test_fewer_places_than_asked_for(filled_map, unit_vectors):
    with PlaceMap.open(filled_map) as place_map:
        found = PlaceIndex.open(place_map).search(unit_vectors(2), 7)
    assert sorted(found.place_ids[0, :5].tolist()) == [1, 2, 3, 4, 5]
    assert (found.place_ids[:, 5:] == -1).all()
    assert np.isneginf(found.similarity[:, 5:]).all()
    assert np.isfinite(found.similarity[:, :5]).all()


def test_empty_map(tmp_path, fingerprint, unit_vectors):
    with PlaceMap.create(tmp_path / "a.progeo", fingerprint) as place_map:
        index = PlaceIndex.open(place_map)
        assert len(index) == 0
        assert index.search(unit_vectors(2), 3).place_ids.tolist() == [[-1] * 3] * 2
        again = PlaceIndex.open(place_map)
        assert len(again) == 0


def test_added_places_are_found_at_once(filled_map, index_path, make_places, unit_vectors):
    with PlaceMap.open(filled_map, writable=True) as place_map:
        index = PlaceIndex.open(place_map)
        before = index_path.read_bytes()
        new = unit_vectors(3, seed=9)
        ids = place_map.append(make_places(3), new)
        index.add(ids, new)
        assert index.search(new, 1).place_ids[:, 0].tolist() == ids.tolist()
        assert index_path.read_bytes() == before
        index.save()
        np.testing.assert_array_equal(
            PlaceIndex.open(place_map).search(new, 4).place_ids, index.search(new, 4).place_ids
        )


def test_file_is_used_while_it_fits(filled_map, index_path, caplog):
    caplog.set_level(logging.INFO)
    with PlaceMap.open(filled_map) as place_map:
        PlaceIndex.open(place_map)
        assert "as it is missing" in caplog.text
        caplog.clear()
        written = os.stat(index_path)
        assert len(PlaceIndex.open(place_map)) == 5
        assert not caplog.records
        assert os.path.samestat(os.stat(index_path), written)


def test_file_of_an_earlier_state_is_brought_up_to_date(
    filled_map, index_path, make_places, unit_vectors, caplog
):
    with PlaceMap.open(filled_map, writable=True) as place_map:
        PlaceIndex.open(place_map)
        caplog.set_level(logging.INFO)
        place_map.delete([1])
        ids = place_map.append(make_places(1), unit_vectors(1, seed=3))
        before = index_path.read_bytes()
        index = PlaceIndex.open(place_map)
        assert not caplog.records
        assert index_path.read_bytes() != before
        assert index.search(unit_vectors(1, seed=3), 1).place_ids[0, 0] == ids[0]
        assert 1 not in index.search(unit_vectors(1), 5).place_ids


def test_file_of_another_map_of_that_name_is_rebuilt(
    filled_map, fingerprint, make_places, unit_vectors, caplog
):
    caplog.set_level(logging.INFO)
    with PlaceMap.open(filled_map) as place_map:
        PlaceIndex.open(place_map)
    filled_map.unlink()
    with PlaceMap.create(filled_map, fingerprint) as place_map:
        place_map.append(make_places(5), unit_vectors(5, seed=4))
        caplog.clear()
        found = PlaceIndex.open(place_map).search(unit_vectors(5, seed=4), 1)
    assert "another state of the map" in caplog.text
    assert all(record.levelno == logging.INFO for record in caplog.records)
    assert found.similarity.min() > 0.99


def test_file_of_a_state_that_was_given_up_is_rebuilt(
    filled_map, tmp_path, make_places, unit_vectors, caplog
):
    copy = filled_map.read_bytes()
    with PlaceMap.open(filled_map, writable=True) as place_map:
        place_map.append(make_places(3), unit_vectors(3, seed=5))
        PlaceIndex.open(place_map)
    filled_map.write_bytes(copy)
    other = unit_vectors(3, seed=6)
    with PlaceMap.open(filled_map, writable=True) as place_map:
        ids = place_map.append(make_places(3), other)
        caplog.set_level(logging.INFO)
        index = PlaceIndex.open(place_map)
        assert index.search(other, 1).place_ids[:, 0].tolist() == ids.tolist()


def test_file_that_lacks_places_is_rebuilt(filled_map, make_places, unit_vectors, caplog):
    with PlaceMap.open(filled_map, writable=True) as place_map:
        index = PlaceIndex.open(place_map)
        place_map.append(make_places(1), unit_vectors(1))
        index.save()
        assert len(PlaceIndex.open(place_map)) == 6
        assert "does not hold the places" in caplog.text


@pytest.mark.parametrize("damage", ["flip", "truncate", "empty", "seal", "text"])
def test_damaged_file_is_rebuilt_with_a_warning(filled_map, index_path, damage, caplog):
    with PlaceMap.open(filled_map) as place_map:
        PlaceIndex.open(place_map)
        good = index_path.read_bytes()
        index_path.write_bytes(
            {
                "flip": good[:60] + bytes([good[60] ^ 0xFF]) + good[61:],
                "truncate": good[:-1],
                "empty": b"",
                "seal": good[:-14] + b"????" + good[-10:],
                "text": b"not an index at all",
            }[damage]
        )
        index = PlaceIndex.open(place_map)
        assert len(index) == 5
        (record,) = caplog.records
        assert record.levelno == logging.WARNING
        assert "filled.faiss: building the index of the map, as it is damaged" in record.message
        assert index_path.read_bytes() == good


@pytest.mark.parametrize(
    "change",
    [lambda ids: ids[::-1], lambda ids: ids + 10**6, lambda ids: ids * 0 + 1],
    ids=["swapped", "out of range", "one for all"],
)
def test_a_sealed_file_of_other_places_is_rebuilt(
    filled_map, index_path, unit_vectors, change, caplog
):
    """Its checksum is right: somebody, or a program with a fault, wrote it so."""
    with PlaceMap.open(filled_map) as place_map:
        PlaceIndex.open(place_map)
        stored = read_index_file(index_path)
        stored.places.reset()
        stored.places.add_with_ids(unit_vectors(5), np.ascontiguousarray(change(place_map.ids())))
        write_index_file(index_path, stored)
        found = PlaceIndex.open(place_map).search(unit_vectors(5), 1)
        np.testing.assert_array_equal(found.place_ids[:, 0], place_map.ids())
    assert "as it does not hold the places of the map" in caplog.text


def test_a_sealed_file_of_another_measure_is_rebuilt(filled_map, index_path, caplog):
    with PlaceMap.open(filled_map) as place_map:
        PlaceIndex.open(place_map)
        stored = read_index_file(index_path)
        faiss.downcast_index(stored.places).metric_type = faiss.METRIC_INNER_PRODUCT
        write_index_file(index_path, stored)
        PlaceIndex.open(place_map)
    assert "as it is of another kind than it says" in caplog.text


def test_every_cut_of_the_file_is_noticed(filled_map, index_path, caplog):
    with PlaceMap.open(filled_map) as place_map:
        PlaceIndex.open(place_map)
        good = index_path.read_bytes()
        for length in range(0, len(good), 7):
            index_path.write_bytes(good[:length])
            assert len(PlaceIndex.open(place_map)) == 5
            assert caplog.records[-1].levelno == logging.WARNING


def test_faiss_reads_the_file_by_itself(filled_map, index_path, unit_vectors):
    with PlaceMap.open(filled_map) as place_map:
        found = PlaceIndex.open(place_map).search(unit_vectors(5), 2)
    _, ids = faiss.read_index(str(index_path)).search(unit_vectors(5), 2)
    np.testing.assert_array_equal(ids, found.place_ids)


def test_read_only_folder_keeps_the_index_in_memory(
    filled_map, index_path, as_reader, unit_vectors, caplog
):
    as_reader(filled_map.parent)
    with PlaceMap.open(filled_map) as place_map:
        index = PlaceIndex.open(place_map)
        assert index.search(unit_vectors(1), 1).place_ids[0, 0] == 1
        (record,) = caplog.records
        assert "the index stays in memory" in record.message
    assert not index_path.exists()


def test_bad_queries(filled_map, unit_vectors):
    with PlaceMap.open(filled_map) as place_map:
        index = PlaceIndex.open(place_map)
        with pytest.raises(DataError, match=r"shape \[1, 9\].* holds 8 values each"):
            index.search(np.zeros((1, 9)), 1)
        with pytest.raises(DataError, match=r"shape \[8\]"):
            index.search(unit_vectors(1)[0], 1)
        with pytest.raises(DataError, match="not finite"):
            index.search(np.full((1, 8), np.nan), 1)


def test_arrays_without_a_map(unit_vectors):
    vectors = unit_vectors(200)
    index = PlaceIndex.of_arrays(np.arange(200) * 7, vectors)
    found = index.search(vectors[:20] + 0.01, 3)
    assert found.place_ids[:, 0].tolist() == (np.arange(20) * 7).tolist()
    index.add([5000], unit_vectors(1, seed=3))
    assert index.search(unit_vectors(1, seed=3), 1).place_ids.tolist() == [[5000]]
    with pytest.raises(UsageError, match="index of arrays has no map"):
        index.save()


@pytest.mark.parametrize(
    ("ids", "descriptors", "message"),
    [
        ([1, 2], np.zeros((3, 8)), "give n ids and n descriptors"),
        ([1], np.zeros(8), "give n ids and n descriptors"),
        ([1, 1], np.zeros((2, 8)), "must be different"),
        ([-1], np.zeros((1, 8)), "not negative"),
        ([1], np.full((1, 8), np.nan), "index of arrays: a descriptor is not finite"),
    ],
)
def test_bad_arrays(ids, descriptors, message):
    with pytest.raises(DataError, match=message):
        PlaceIndex.of_arrays(ids, descriptors)
