"""Times of images as stamps: nanoseconds since 1970, 0 where the time is unknown."""

from __future__ import annotations

import datetime
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

UNKNOWN = 0
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
_NS_PER_S = 1_000_000_000
# 2000 to 2100, in seconds; a stamp in another unit lies in another range.
_EARLIEST_S, _LATEST_S = 946_684_800, 4_102_444_800
# No camera here is faster; stamps that are closer are not in nanoseconds.
_MIN_GAP_NS = 5_000_000


class Unit(NamedTuple):
    """Unit of stamps: its name, and nanoseconds per unit."""

    name: str
    ns: int


NANOSECONDS = Unit("nanoseconds", 1)
_UNITS = (
    Unit("seconds", _NS_PER_S),
    Unit("milliseconds", 1_000_000),
    Unit("microseconds", 1_000),
)


def stamp_from_time(time: datetime.datetime) -> int:
    """Return the nanoseconds of a time with its zone; 0 before 1970 and after 2262.

    A signed integer of 64 bits holds no more, and cameras whose clock was never set say 0001.
    """
    difference = time - _EPOCH
    seconds = difference.days * 86_400 + difference.seconds
    stamp_ns = seconds * _NS_PER_S + difference.microseconds * 1_000
    return stamp_ns if 0 < stamp_ns <= np.iinfo(np.int64).max else UNKNOWN


def unit_of(stamps: NDArray[np.int64]) -> Unit:
    """Return the unit of the stamps [n] of a file, by their size; 0 is unknown and does not count.

    Nanoseconds, unless all of them are of this century in another unit and too close to each other
    for images in nanoseconds.
    """
    known = np.unique(stamps[stamps > 0])
    if len(known) < 2 or np.median(np.diff(known)) >= _MIN_GAP_NS:
        return NANOSECONDS
    for unit in _UNITS:
        per_s = _NS_PER_S // unit.ns
        if _EARLIEST_S * per_s <= known[0] and known[-1] <= _LATEST_S * per_s:
            return unit
    return NANOSECONDS
