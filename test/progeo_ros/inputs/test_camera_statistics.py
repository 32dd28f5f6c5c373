import math
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from progeo_ros.inputs.camera_statistics import CameraStatistics


@given(st.lists(st.sampled_from(["answered", "dropped", "failed", "waiting"]), max_size=200))
def test_counts_add_up_to_what_was_received(fates: list[str]) -> None:
    statistics = CameraStatistics()
    for fate in fates:
        statistics.count_received()
        if fate == "answered":
            statistics.count_answered(20.0, accepted=True)
        elif fate == "dropped":
            statistics.count_dropped()
        elif fate == "failed":
            statistics.count_failed("truncated")
    counts = statistics.counts()
    assert counts.received == len(fates)
    assert counts.waiting == fates.count("waiting")
    assert counts.answered + counts.dropped + counts.failed + counts.waiting == counts.received
    assert counts.accepted == counts.answered == fates.count("answered")


def test_percentiles_are_of_the_last_hundred_answers() -> None:
    statistics = CameraStatistics()
    for latency in [1000.0] * 50 + [float(value) for value in range(1, 101)]:
        statistics.count_received()
        statistics.count_answered(latency, accepted=False)
    found = statistics.counts().latency_ms
    assert found.p50 == 50.5
    assert 95 < found.p95 < 97 < found.p99 <= 100


def test_before_the_first_image_nothing_is_claimed() -> None:
    counts = CameraStatistics().counts()
    assert counts.rate_hz == 0.0
    assert math.isnan(counts.latency_ms.p50)
    assert counts.failure_age_s == math.inf
    assert counts.silence_s >= 0.0


def test_loss_and_qos_are_remembered_beside_the_sums() -> None:
    statistics = CameraStatistics()
    statistics.count_lost(3)
    statistics.note_incompatible_qos("RELIABILITY")
    statistics.count_received()
    statistics.count_failed("no stamp")
    counts = statistics.counts()
    assert (counts.lost, counts.received, counts.incompatible_qos) == (3, 1, "RELIABILITY")
    assert counts.last_failure == "no stamp"
    assert counts.failure_age_s < 60.0


@pytest.mark.parametrize(
    ("unit_ns", "crawl"),
    [(1_000_000_000, False), (20_000_000, False), (1_000_000, True), (1_000, True), (0, False)],
    ids=["nanoseconds", "played at a fiftieth", "microseconds", "milliseconds", "none"],
)
def test_stamps_in_another_unit_are_noticed_by_how_slow_they_are(
    unit_ns: int, crawl: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    statistics = CameraStatistics()
    for number in range(30):
        now = 1000.0 + 0.1 * number
        statistics.count_received(unit_ns * (17_000_000_000 + number) // 10)
        assert statistics.counts().stamps_crawl == (crawl and number >= 19)
