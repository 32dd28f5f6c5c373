import math

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
