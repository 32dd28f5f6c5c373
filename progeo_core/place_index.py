"""Nearest places of a map by descriptor: exact search in float16, kept in a file beside the map."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import NamedTuple

import faiss
import numpy as np
from numpy.typing import ArrayLike, NDArray

from progeo_core.errors import DataError
from progeo_core.index_file import StaleIndexError, read_index_file, write_index_file
from progeo_core.place_map import PlaceMap

_ADD_BLOCK = 16384

_log = logging.getLogger(__name__)


class Neighbours(NamedTuple):
    """Hold the nearest places of q queries, nearest first.

    place_ids: [q, k], -1 where the map has fewer than k places.
    similarity: [q, k] 1 - d²/2 of the distance d, which for unit descriptors is their cosine;
        -inf beside an id of -1.
    """

    place_ids: NDArray[np.int64]
    similarity: NDArray[np.float32]


class PlaceIndex:
    """Search the descriptors of a map; make one with `open`.

    The file NAME.faiss beside NAME.progeo only saves time: it is checked against the map, and made
    again where it is missing, damaged or of an older state of the map.
    """

    def __init__(self, place_map: PlaceMap, index: faiss.Index) -> None:
        """Take over a FAISS index that holds the places of the map under their ids."""
        self._map = place_map
        self._index = index

    @classmethod
    def open(cls, place_map: PlaceMap) -> PlaceIndex:
        """Load the index file of a map, or build the index and write the file.

        Where the file cannot be written (read-only folder, full disk), the index stays in memory.
        """
        path = _index_path(place_map)
        try:
            index = read_index_file(path, place_map.revision)
            if index.ntotal != len(place_map) or index.d != place_map.fingerprint.dimension:
                raise DataError("it does not hold the places of the map")
            return cls(place_map, index)
        except DataError as reason:
            level = logging.INFO if isinstance(reason, StaleIndexError) else logging.WARNING
            _log.log(level, "%s: building the index of the map, as %s", path, reason)
        built = cls(place_map, _empty_index(place_map.fingerprint.dimension))
        for ids, descriptors in place_map.descriptor_blocks(_ADD_BLOCK):
            built.add(ids, descriptors)
        built.save()
        return built

    def __len__(self) -> int:
        return int(self._index.ntotal)

    def search(self, descriptors: ArrayLike, k: int) -> Neighbours:
        """Return the k nearest places of every query [q, D].

        Raises `DataError` for another dimension or a query that is not finite.
        """
        queries = self._checked(descriptors)
        squared, ids = self._index.search(queries, k)
        similarity = np.where(ids >= 0, 1.0 - squared / 2.0, -np.inf)
        return Neighbours(ids, similarity.astype(np.float32))

    def add(self, ids: ArrayLike, descriptors: ArrayLike) -> None:
        """Make places [n] with descriptors [n, D], just appended to the map, searchable at once.

        The file is left as it is; `save` brings it up to date.
        """
        self._index.add_with_ids(self._checked(descriptors), np.asarray(ids, np.int64))

    def save(self) -> None:
        """Write the file beside the map; log a warning where that fails, as only time is lost."""
        path = _index_path(self._map)
        try:
            write_index_file(path, self._index, self._map.revision)
        except OSError as error:
            _log.warning(
                "%s: the index stays in memory and is built again next time, as its file cannot be"
                " written (%s)",
                path,
                error,
            )

    def _checked(self, descriptors: ArrayLike) -> NDArray[np.float32]:
        vectors = np.ascontiguousarray(descriptors, np.float32)
        if vectors.ndim != 2 or vectors.shape[1] != self._index.d:
            raise DataError(
                f"{self._map.path}: descriptors of shape {list(vectors.shape)}, but the index holds"
                f" {self._index.d} values each; use the map's model {self._map.fingerprint}"
            )
        if not np.isfinite(vectors).all():
            raise DataError(f"{self._map.path}: a descriptor is not finite; skip this image")
        return vectors


def _empty_index(dimension: int) -> faiss.Index:
    half = faiss.IndexScalarQuantizer(dimension, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_L2)
    return faiss.IndexIDMap(half)


def _index_path(place_map: PlaceMap) -> Path:
    # Beside the file itself, so that links to one map share one index.
    return place_map.path.resolve().with_suffix(".faiss")
