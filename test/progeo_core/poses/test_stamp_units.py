import numpy as np
import pytest

from progeo_core.poses.stamp_units import NANOSECONDS, unit_of_stamps

START_NS = 1_700_000_000 * 10**9
NAMES = {1: "nanoseconds", 10**3: "microseconds", 10**6: "milliseconds", 10**9: "seconds"}


@pytest.mark.parametrize("nanoseconds", NAMES)
@pytest.mark.parametrize("period_s", [0.02, 0.1, 1.0])
def test_today_is_recognised_in_every_unit(nanoseconds: int, period_s: float) -> None:
    stamps = START_NS + np.arange(200) * round(period_s * 1e9)
    unit = unit_of_stamps(stamps // nanoseconds)
    assert (unit.name, unit.nanoseconds) == (NAMES[nanoseconds], nanoseconds)


@pytest.mark.parametrize("start_s", [0.0, 1.5, 1700.0, 1_700_000.0])
@pytest.mark.parametrize("rate_hz", [10.0, 200.0])
def test_simulated_time_and_uptime_stay_nanoseconds(start_s: float, rate_hz: float) -> None:
    stamps = np.int64(start_s * 1e9) + np.arange(100) * round(1e9 / rate_hz)
    assert unit_of_stamps(stamps) is NANOSECONDS


@pytest.mark.parametrize("stamps", [[], [0, 0, -5], [1_700_000_000]])
def test_too_few_stamps_say_nothing(stamps: list[int]) -> None:
    assert unit_of_stamps(stamps) is NANOSECONDS
