import datetime

import numpy as np
import pytest

from progeo_core.records.stamps import stamp_from_time, unit_of

UTC = datetime.timezone.utc


@pytest.mark.parametrize(
    ("time", "stamp_ns"),
    [
        (datetime.datetime(2013, 7, 4, 10, 11, 12, 250_000, UTC), 1_372_932_672_250_000_000),
        (datetime.datetime(1, 1, 1, tzinfo=UTC), 0),
        (datetime.datetime(1969, 12, 31, tzinfo=UTC), 0),
        (datetime.datetime(2300, 1, 1, tzinfo=UTC), 0),
        (datetime.datetime(9999, 12, 31, tzinfo=UTC), 0),
    ],
)
def test_times_that_no_stamp_holds_are_unknown(time, stamp_ns):
    assert stamp_from_time(time) == stamp_ns


TEN_HZ = 1_700_000_000 + np.arange(50) / 10.0


@pytest.mark.parametrize(
    ("stamps", "unit"),
    [
        (1_700_000_000 + np.arange(50), "seconds"),
        (TEN_HZ * 1e3, "milliseconds"),
        (TEN_HZ * 1e6, "microseconds"),
        (TEN_HZ * 1e9, "nanoseconds"),
        # Recordings whose clock starts at 0: of a second, of an hour, of a month.
        (np.arange(1, 50) * 1e8, "nanoseconds"),
        (1e9 + np.arange(20) * 1e8, "nanoseconds"),
        (1e12 + np.arange(500) * 1e8, "nanoseconds"),
        (1e15 + np.arange(500) * 1e8, "nanoseconds"),
        ([0, 0, 1_700_000_000], "nanoseconds"),
        ([0, 1_700_000_000, 1_700_000_002], "seconds"),
        ([], "nanoseconds"),
    ],
)
def test_the_unit_is_recognized_by_size(stamps, unit):
    assert unit_of(np.array(stamps).astype(np.int64)).name == unit
