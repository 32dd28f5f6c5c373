"""Nearest neighbours by descriptor among the keyframes of a session that still grows."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeVar

import faiss
import numpy as np
from numpy.typing import NDArray

from progeo_core.descriptors.standardization import Standardization
from progeo_core.geo import FloatArray
from progeo_core.map.index_plan import IndexPlan, plan_one_list
from progeo_core.slam.keyframes import Keyframe

IntArray = NDArray[np.int64]
Number = TypeVar("Number", np.int64, np.float64)

# The standardization is measured again whenever there are this many times more keyframes.
_GROWTH = 1.1
_SAMPLE = 2000
# Keyframes found by cosine, and by short codes, for each one requested.
_RANKED, _BY_CODES = 5, 10
# Up to this number every keyframe is compared; codes are learned from a sample, in half a second.
_EXACT, _LEARNED_FROM = 8192, 4096


class KeyframeTable(NamedTuple):
    """Columns of keyframes: pose [n, 3], segment and path length [n]."""

    pose: FloatArray
    segment: IntArray
    path_length_m: FloatArray


class SimilarKeyframes(NamedTuple):
    """Keyframe numbers [k], most similar first, and standardized similarities [k]."""

    numbers: IntArray
    similarity: FloatArray


class KeyframeIndex:
    """Index of every keyframe: 2 bytes per descriptor value, and about 600 bytes besides.

    A long session is searched by short codes, which takes a twentieth of the time.
    """

    def __init__(self, dimension: int) -> None:
        """Create an empty index of descriptors of one length."""
        half = faiss.ScalarQuantizer.QT_fp16
        self._index = faiss.IndexScalarQuantizer(dimension, half, faiss.METRIC_L2)
        self._codes: Any = None
        self._code_plan = plan_one_list(dimension)
        self.keyframes: list[Keyframe] = []
        # Each column is one array, as every search reads all of it; it is longer than it is filled.
        self._x_y_yaw, self._segment = np.empty((3, 256)), np.empty(256, np.int64)
        self._path_length_m = np.empty(256)
        self._standardization: Standardization | None = None
        self._measured_at = 0

    @property
    def table(self) -> KeyframeTable:
        """Return pose, segment and path length of all keyframes."""
        count = len(self)
        pose = self._x_y_yaw[:, :count].T
        return KeyframeTable(pose, self._segment[:count], self._path_length_m[:count])

    def __len__(self) -> int:
        return len(self.keyframes)

    def add(self, keyframe: Keyframe, descriptor: NDArray[np.float32]) -> None:
        """Add the next keyframe, whose number is the count so far, with its descriptor [D]."""
        number = len(self)
        if number == len(self._path_length_m):
            self._x_y_yaw, self._segment = _twice(self._x_y_yaw), _twice(self._segment)
            self._path_length_m = _twice(self._path_length_m)
        self._x_y_yaw[:, number] = keyframe.pose
        self._segment[number] = keyframe.segment
        self._path_length_m[number] = keyframe.path_length_m
        self.keyframes.append(keyframe)
        self._index.add(descriptor[None].astype(np.float32))
        if self._codes is not None:
            self._codes.add(descriptor[None].astype(np.float32))
        elif len(self) > _EXACT and self._code_plan is not None:
            self._codes = self._learned_codes(self._code_plan)

    def search(
        self, descriptor: NDArray[np.float32], k: int, allowed: NDArray[np.bool_]
    ) -> SimilarKeyframes:
        """Return the k keyframes most similar to an image, among those allowed [m] of the first m.

        Candidates are found by cosine and ranked by descriptors that are standardized over the
        keyframes so far.
        """
        numbers = self._candidates(descriptor, k, allowed)
        if not len(numbers):
            return SimilarKeyframes(numbers, np.empty(0))
        standardization = self._current_standardization()
        query = standardization.apply(descriptor[None])[0]
        found = standardization.apply(self.descriptors(numbers))
        similarity = (found @ query).astype(np.float64)
        order = np.argsort(-similarity, kind="stable")[:k]
        return SimilarKeyframes(numbers[order], similarity[order])

    def descriptors(self, numbers: IntArray) -> NDArray[np.float32]:
        """Return the descriptors [k, D] of keyframes."""
        vectors: NDArray[np.float32] = self._index.reconstruct_batch(numbers)
        return vectors

    def _candidates(
        self, descriptor: NDArray[np.float32], k: int, allowed: NDArray[np.bool_]
    ) -> IntArray:
        """Return the numbers of the nearest keyframes by cosine, a few times k of them."""
        bits = np.packbits(allowed, bitorder="little")
        selector: Any = faiss.IDSelectorBitmap(bits)  # type: ignore[call-arg, arg-type]
        if self._codes is None:
            index, count = self._index, _RANKED * k
            parameters = faiss.SearchParameters(sel=selector)  # type: ignore[call-arg]
        else:
            index, count = self._codes, _BY_CODES * k
            parameters = faiss.SearchParametersIVF(sel=selector)  # type: ignore[call-arg]
        count = min(count, int(allowed.sum()))
        if not count:
            return np.empty(0, np.int64)
        found: IntArray = index.search(descriptor[None], count, params=parameters)[1][0]
        return found[found >= 0]

    def _learned_codes(self, plan: IndexPlan) -> Any:
        """Return the index of short codes of all keyframes so far."""
        codes = plan.empty_index()
        sample = np.linspace(0, len(self) - 1, min(len(self), _LEARNED_FROM)).astype(np.int64)
        codes.train(self.descriptors(sample))
        codes.add(self.descriptors(np.arange(len(self))))
        return codes

    def _current_standardization(self) -> Standardization:
        if self._standardization is None or len(self) > _GROWTH * self._measured_at:
            sample = np.arange(0, len(self), -(-len(self) // _SAMPLE))
            self._standardization = Standardization.of_descriptors(self.descriptors(sample))
            self._measured_at = len(self)
        return self._standardization


def _twice(column: NDArray[Number]) -> NDArray[Number]:
    """Return a column [..., n] with room for as many values again."""
    return np.concatenate([column, np.empty_like(column)], axis=-1)
