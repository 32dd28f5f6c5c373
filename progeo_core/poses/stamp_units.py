"""Stamps that are not nanoseconds, recognised by their size."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

# From 2001 to 2039, as every clock that was set has it (s).
_FIRST_S, _LAST_S = 1e9, 2.2e9


class StampUnit(NamedTuple):
    """Unit of stamps: its name, and its length in nanoseconds."""

    name: str
    nanoseconds: int


NANOSECONDS = StampUnit("nanoseconds", 1)
_UNITS = (
    StampUnit("seconds", 1_000_000_000),
    StampUnit("milliseconds", 1_000_000),
    StampUnit("microseconds", 1_000),
)


# No robot tells its pose more often (Hz), and no camera takes images more often.
MAX_POSE_RATE_HZ, MAX_IMAGE_RATE_HZ = 500.0, 200.0


def unit_of_stamps(stamps: ArrayLike, max_rate_hz: float = MAX_POSE_RATE_HZ) -> StampUnit:
    """Return the unit that integer stamps [n] are in; those that are not positive do not count.

    Read as nanoseconds, today's seconds, milliseconds or microseconds since 1970 would be 2
    seconds, 30 minutes or 20 days. A simulation or a machine's uptime may be as short, so that
    steps between the stamps have to be too short for nanoseconds as well, which is shorter than
    those of `max_rate_hz`.
    """
    known: NDArray[np.int64] = np.unique(np.asarray(stamps, np.int64))
    known = known[known > 0]
    if len(known) < 2 or np.median(np.diff(known)) >= 1e9 / max_rate_hz:
        return NANOSECONDS
    for unit in _UNITS:
        low, high = (limit * 1e9 / unit.nanoseconds for limit in (_FIRST_S, _LAST_S))
        if low <= known[0] and known[-1] <= high:
            return unit
    return NANOSECONDS
