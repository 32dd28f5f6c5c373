"""Nearest places of a map by descriptor: exact in small maps, ranked candidates in large ones."""

from __future__ import annotations

import logging
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import faiss
import numpy as np
from numpy.typing import ArrayLike, NDArray

from progeo_core.errors import DataError, UsageError
from progeo_core.map.index_file import (
    StaleIndexError,
    StoredIndex,
    read_index_file,
    write_index_file,
)
from progeo_core.map.index_plan import IndexPlan, plan_index
from progeo_core.map.place_map import Float16Array, IdArray, PlaceMap

MEMORY_MB = 256
_ADD_BLOCK = 16384
# Candidates of short codes per place asked for, and at least; the best are among far fewer.
_CANDIDATES, _MIN_CANDIDATES = 2, 100
# Newest places by which an index of an earlier state proves that it is of this map.
_PROVEN = 8
# Descriptors of an index file that are compared with the map's, and lists where they may be.
_COMPARED, _NEAR_LISTS = 64, 4

_log = logging.getLogger(__name__)


class Neighbours(NamedTuple):
    """Nearest places of q queries, nearest first.

    place_ids: [q, k], -1 where the map has fewer than k places.
    similarity: [q, k] 1 - d²/2 of the distance d, which for unit descriptors is their cosine;
        -inf beside an id of -1.
    """

    place_ids: NDArray[np.int64]
    similarity: NDArray[np.float32]


class PlaceIndex:
    """Searchable descriptors of a map (made with `open`) or of arrays (made with `of_arrays`).

    The file NAME.faiss beside NAME.progeo only saves time: it is checked against the map, brought
    up to date where places were added or deleted since, and made again where it is missing, damaged
    or of another map.
    """

    def __init__(self, place_map: PlaceMap | None, index: faiss.Index, plan: IndexPlan) -> None:
        """Take over a FAISS index made by a plan that holds places of the map under their ids.

        place_map: None for an exact index that stands for itself.
        """
        self._map, self._index, self._plan = place_map, index, plan

    @classmethod
    def open(cls, place_map: PlaceMap, memory_mb: int = MEMORY_MB) -> PlaceIndex:
        """Load the index file of a map, or build the index and write the file.

        memory_mb: what an index may take. Where the file cannot be written (read-only folder, full
        disk), the index stays in memory.
        """
        path, memory_bytes = _index_path(place_map), memory_mb * 1_000_000
        try:
            return cls._from_file(path, place_map, memory_bytes)
        except DataError as reason:
            level = logging.INFO if isinstance(reason, StaleIndexError) else logging.WARNING
            _log.log(level, "%s: building the index of the map, as %s", path, reason)
            built = cls._built(place_map, memory_bytes)
            built.save()
            return built

    @classmethod
    def of_arrays(cls, ids: ArrayLike, descriptors: ArrayLike) -> PlaceIndex:
        """Build an exact index in memory of descriptors [n, D] under ids [n], without a map file.

        Raises `DataError` for descriptors that are no table of finite numbers, and for ids that are
        negative, repeated or of another number.
        """
        vectors, numbers = np.asarray(descriptors), np.asarray(ids, np.int64)
        if vectors.ndim != 2 or not vectors.shape[1] or numbers.shape != vectors.shape[:1]:
            raise DataError(
                f"ids of shape {list(numbers.shape)} and descriptors of shape"
                f" {list(vectors.shape)}: give n ids and n descriptors of equal length"
            )
        if (numbers < 0).any() or len(np.unique(numbers)) != len(numbers):
            raise DataError("place ids must be different and not negative: number the descriptors")
        plan = IndexPlan(vectors.shape[1])
        built = cls(None, plan.empty_index(), plan)
        built.add(numbers, vectors)
        return built

    def __len__(self) -> int:
        return int(self._index.ntotal)

    @property
    def plan(self) -> IndexPlan:
        """Return how the places are kept."""
        return self._plan

    def search(self, descriptors: ArrayLike, k: int) -> Neighbours:
        """Return the k nearest places of every query [q, D].

        Raises `DataError` for another dimension or a query that is not finite.
        """
        queries = self._checked(descriptors)
        if self._map is not None and not self._plan.is_exact:
            return self._search_lists(self._map, queries, k)
        squared, ids = self._index.search(queries, k)
        return _neighbours(ids, squared)

    def add(self, ids: ArrayLike, descriptors: ArrayLike) -> None:
        """Make places [n] with descriptors [n, D], just appended to the map, searchable at once.

        The file is left as it is; `save` brings it up to date.
        """
        self._index.add_with_ids(self._checked(descriptors), np.asarray(ids, np.int64))

    def save(self) -> None:
        """Write the file beside the map; log a warning where that fails, as only time is lost.

        Raises `UsageError` for an index of arrays.
        """
        if self._map is None:
            raise UsageError("an index of arrays has no map to be saved beside: keep the arrays")
        path = _index_path(self._map)
        try:
            newest = _checksums(*self._map.newest_descriptors(_PROVEN))
            stored = StoredIndex(self._index, self._map.revision, self._plan, newest)
            write_index_file(path, stored)
        except OSError as error:
            _log.warning(
                "%s: the index stays in memory and is built again next time, as its file cannot be"
                " written (%s)",
                path,
                error,
            )

    @classmethod
    def _from_file(cls, path: Path, place_map: PlaceMap, memory_bytes: int) -> PlaceIndex:
        """Return the index in a file; `DataError` continues a sentence on why it is of no use."""
        index, revision, plan, newest = read_index_file(path)
        found = cls(place_map, index, plan)
        dimension, places = place_map.dimension, len(place_map)
        if not plan.dimension == index.d == dimension or not place_map.is_earlier(revision):
            raise StaleIndexError("it is of another state of the map")
        if not plan.suits(places, memory_bytes):
            raise StaleIndexError("the map or the memory for it has another size now")
        if revision != place_map.revision:
            found._catch_up(place_map, newest)
            found.save()
        if not found._is_of(place_map):
            raise DataError("it does not hold the places of the map")
        return found

    @classmethod
    def _built(cls, place_map: PlaceMap, memory_bytes: int) -> PlaceIndex:
        plan = plan_index(len(place_map), place_map.dimension, memory_bytes)
        built = cls(place_map, plan.empty_index(), plan)
        if not plan.is_exact:
            ids = place_map.ids()
            evenly = np.linspace(0, len(ids) - 1, min(len(ids), plan.training_places()))
            sample = place_map.descriptors(ids[evenly.astype(np.int64)])
            built._index.train(sample.astype(np.float32))
        for ids, descriptors in place_map.descriptor_blocks(_ADD_BLOCK):
            built.add(ids, descriptors)
        return built

    def _catch_up(self, place_map: PlaceMap, newest: dict[int, int]) -> None:
        """Add and remove what the map did since the newest places of the file were new.

        Raises `StaleIndexError` where these are others now: an older copy of the map came back and
        went another way.
        """
        held, wanted = self._held_ids(), place_map.ids()
        known = np.intersect1d(list(newest), wanted)
        checksums = _checksums(known, place_map.descriptors(known))
        if not checksums or any(newest[one] != crc32 for one, crc32 in checksums.items()):
            raise StaleIndexError("it is of another state of the map")
        if not np.isin(held, wanted, assume_unique=True).all():
            # Lists from which FAISS removed something garble what is added to them afterwards. What
            # was learned stays, and that takes longest.
            self._index.reset()
            held = held[:0]
        fresh = np.setdiff1d(wanted, held, assume_unique=True)
        for start in range(0, len(fresh), _ADD_BLOCK):
            block = fresh[start : start + _ADD_BLOCK]
            self.add(block, place_map.descriptors(block))

    def _is_of(self, place_map: PlaceMap) -> bool:
        """Whether the ids are those of the map, and some descriptors at random, too.

        A checksum tells damage from what was written, not who wrote it.
        """
        ids = place_map.ids()
        if not np.array_equal(self._held_ids(), ids):
            return False
        some = np.random.default_rng().choice(ids, min(len(ids), _COMPARED), replace=False)
        descriptors = place_map.descriptors(some).astype(np.float32)
        index: Any = faiss.downcast_index(self._index)
        if self._plan.is_exact:
            held = faiss.vector_to_array(index.id_map)
            order = np.argsort(held)
            rows = order[np.searchsorted(held, some, sorter=order)]
            return np.array_equal(index.index.reconstruct_batch(rows), descriptors)
        # The nearest list may be another one by the last bit of a distance.
        _, lists = index.quantizer.search(descriptors, _NEAR_LISTS)
        return all(
            any(place_id in _ids_in(index.invlists, int(one)) for one in near if one >= 0)
            for place_id, near in zip(some.tolist(), lists, strict=True)
        )

    def _held_ids(self) -> IdArray:
        """Return the ids in the index, ascending."""
        index: Any = faiss.downcast_index(self._index)
        if self._plan.is_exact:
            return np.sort(faiss.vector_to_array(index.id_map))
        lists = index.invlists
        return np.sort(np.concatenate([_ids_in(lists, one) for one in range(index.nlist)]))

    def _search_lists(
        self, place_map: PlaceMap, queries: NDArray[np.float32], k: int
    ) -> Neighbours:
        """Find candidates by their codes, and rank them by the map's own descriptors."""
        _, candidates = self._index.search(queries, max(_MIN_CANDIDATES, _CANDIDATES * k))
        ids = np.full((len(queries), k), -1, np.int64)
        squared = np.zeros((len(queries), k), np.float32)
        for row, query in enumerate(queries):
            known = candidates[row][candidates[row] >= 0]
            offset = place_map.descriptors(known).astype(np.float32) - query
            distance = np.einsum("ij,ij->i", offset, offset)
            nearest = np.argsort(distance, kind="stable")[:k]
            ids[row, : len(nearest)] = known[nearest]
            squared[row, : len(nearest)] = distance[nearest]
        return _neighbours(ids, squared)

    def _checked(self, descriptors: ArrayLike) -> NDArray[np.float32]:
        given = np.asarray(descriptors)
        kept = given if self._map is None else self._map.shortened(given)
        vectors = np.ascontiguousarray(kept, np.float32)
        if vectors.ndim != 2 or vectors.shape[1] != self._index.d:
            model = "one model" if self._map is None else f"the map's model {self._map.fingerprint}"
            raise DataError(
                f"{self._name}: descriptors of shape {list(vectors.shape)}, but the index holds"
                f" {self._index.d} values each; use {model}"
            )
        if not np.isfinite(vectors).all():
            raise DataError(f"{self._name}: a descriptor is not finite; skip this image")
        return vectors

    @property
    def _name(self) -> str:
        return "index of arrays" if self._map is None else str(self._map.path)


def _ids_in(lists: Any, number: int) -> IdArray:
    """Return the ids in one of FAISS's lists."""
    size = lists.list_size(number)
    # FAISS has no memory for the ids of an empty list.
    ids: IdArray = (
        faiss.rev_swig_ptr(lists.get_ids(number), size).copy() if size else np.empty(0, np.int64)
    )
    return ids


def _neighbours(ids: NDArray[np.int64], squared: NDArray[np.float32]) -> Neighbours:
    similarity = np.where(ids >= 0, 1.0 - squared / 2.0, -np.inf)
    return Neighbours(ids, similarity.astype(np.float32))


def _checksums(ids: IdArray, descriptors: Float16Array) -> dict[int, int]:
    pairs = zip(ids.tolist(), descriptors, strict=True)
    return {place_id: zlib.crc32(descriptor.tobytes()) for place_id, descriptor in pairs}


def _index_path(place_map: PlaceMap) -> Path:
    # Beside the file itself, so that links to one map share one index.
    return place_map.path.resolve().with_suffix(".faiss")
