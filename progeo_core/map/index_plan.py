"""Which index a map gets: exact while it is small, then lists of short codes that fit the memory.

Short codes find some candidates (Jégou, Douze, Schmid 2011, "Product Quantization for Nearest
Neighbor Search", with FAISS's 4-bit tables in registers); the map's own descriptors rank these.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import faiss

# Up to here an exact search takes about a millisecond.
EXACT_PLACES = 20_000
# Codes cannot be learned from fewer places.
_MIN_PLACES = 1_000
_ID_BYTES = 8
_CODE_BITS = 4
# Values of a descriptor per code, finest first.
_VALUES_PER_CODE = (4, 8, 16)
_TRAINING_PER_LIST = 40
_SEARCHED_SHARE, _MIN_SEARCHED = 32, 16


class IndexPlan(NamedTuple):
    """Layout of an index.

    lists: groups of similar places, a few of which are searched; 0 for an exact index.
    codes: 4-bit codes per place; 0 for an exact index.
    """

    dimension: int
    lists: int = 0
    codes: int = 0

    @property
    def is_exact(self) -> bool:
        """Whether every place is compared in float16."""
        return self.lists == 0

    def bytes_for(self, places: int) -> int:
        """Return the memory (bytes) that an index of so many places takes, within a tenth."""
        if self.is_exact:
            return places * (2 * self.dimension + _ID_BYTES)
        centres = 4 * self.dimension * (self.lists + (1 << _CODE_BITS))
        return centres + places * (self.codes * _CODE_BITS // 8 + _ID_BYTES)

    def suits(self, places: int, memory_bytes: int) -> bool:
        """Whether an index made by this plan is still good for so many places."""
        best = plan_index(places, self.dimension, memory_bytes)
        fits = self.bytes_for(places) <= max(memory_bytes, best.bytes_for(places))
        if self.is_exact or best.is_exact:
            return fits and self.is_exact == best.is_exact
        return fits and 0.5 <= best.lists / self.lists <= 2.0

    def made(self, index: Any) -> bool:
        """Whether an index is of the kind that this plan makes."""
        own = faiss.downcast_index(index)
        if own.metric_type != faiss.METRIC_L2 or own.d != self.dimension:
            return False
        if not self.is_exact:
            lists = (self.lists, self._searched_lists)
            return isinstance(own, faiss.IndexIVFPQFastScan) and (own.nlist, own.nprobe) == lists
        if not isinstance(own, faiss.IndexIDMap):
            return False
        held = faiss.downcast_index(own.index)
        return (
            isinstance(held, faiss.IndexScalarQuantizer)
            and (held.metric_type, held.d, held.ntotal) == (own.metric_type, own.d, own.ntotal)
            and held.sq.qtype == faiss.ScalarQuantizer.QT_fp16
        )

    def training_places(self) -> int:
        """Return how many places the lists and codes are learned from."""
        return self.lists * _TRAINING_PER_LIST

    def empty_index(self) -> Any:
        """Return the index to be trained, unless it is exact, and filled."""
        if self.is_exact:
            kind = faiss.ScalarQuantizer.QT_fp16
            half = faiss.IndexScalarQuantizer(self.dimension, kind, faiss.METRIC_L2)
            return faiss.IndexIDMap(half)
        name = f"IVF{self.lists},PQ{self.codes}x{_CODE_BITS}fs"
        index: Any = faiss.index_factory(self.dimension, name, faiss.METRIC_L2)
        index.cp.niter = 10  # as good as the usual 25 where candidates are ranked again
        index.nprobe = self._searched_lists
        return index

    @property
    def _searched_lists(self) -> int:
        return max(_MIN_SEARCHED, self.lists // _SEARCHED_SHARE)


def plan_index(places: int, dimension: int, memory_bytes: int) -> IndexPlan:
    """Return the most precise plan for a map that fits the memory, or the smallest there is."""
    exact = IndexPlan(dimension)
    code_counts = [_codes(dimension, values) for values in _VALUES_PER_CODE]
    fits = exact.bytes_for(places) <= memory_bytes
    if (places <= EXACT_PLACES and fits) or places < _MIN_PLACES or not all(code_counts):
        return exact
    # A power of two near twice the square root balances finding lists and searching them.
    balanced = round(math.log2(2.0 * math.sqrt(places)))
    lists = 1 << min(balanced, int(math.log2(places / _TRAINING_PER_LIST)))
    plans = [IndexPlan(dimension, lists, codes) for codes in code_counts]
    return next((plan for plan in plans if plan.bytes_for(places) <= memory_bytes), plans[-1])


def plan_one_list(dimension: int) -> IndexPlan | None:
    """Return the plan of short codes in one list, all searched; None for lengths without codes.

    It is trained once on a few thousand places, so an index can grow by it without end.
    """
    codes = _codes(dimension, _VALUES_PER_CODE[0])
    return IndexPlan(dimension, lists=1, codes=codes) if codes else None


def _codes(dimension: int, values: int) -> int:
    """Return the largest even number of equal parts of at least `values` values, 0 without any."""
    return next((n for n in range(dimension // values, 1, -1) if dimension % n == n % 2 == 0), 0)
