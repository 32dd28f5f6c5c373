import numpy as np
import pytest

from progeo_core.poses.stamp_units import MAX_IMAGE_RATE_HZ, NANOSECONDS, unit_of_stamps

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


def test_images_may_be_seconds_apart_where_poses_may_not() -> None:
    stamps = 1_700_000_000_000_000 + np.arange(20) * 3_000_000
    assert unit_of_stamps(stamps, MAX_IMAGE_RATE_HZ).name == "microseconds"
    assert unit_of_stamps(stamps) is NANOSECONDS


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
def test_the_unit_of_images_is_recognized_by_size(stamps, unit):
    given = np.array(stamps).astype(np.int64)
    assert unit_of_stamps(given, MAX_IMAGE_RATE_HZ).name == unit
