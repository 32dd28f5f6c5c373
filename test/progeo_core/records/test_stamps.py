import datetime

import pytest

from progeo_core.records.stamps import stamp_from_time

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
