"""Times of images as stamps: nanoseconds since 1970, 0 where the time is unknown."""

from __future__ import annotations

import datetime

import numpy as np

UNKNOWN = 0
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
_NS_PER_S = 1_000_000_000


def stamp_from_time(time: datetime.datetime) -> int:
    """Return the nanoseconds of a time with its zone; 0 before 1970 and after 2262.

    A signed integer of 64 bits holds no more, and cameras whose clock was never set say 0001.
    """
    difference = time - _EPOCH
    seconds = difference.days * 86_400 + difference.seconds
    stamp_ns = seconds * _NS_PER_S + difference.microseconds * 1_000
    return stamp_ns if 0 < stamp_ns <= np.iinfo(np.int64).max else UNKNOWN
