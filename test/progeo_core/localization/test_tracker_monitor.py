import math

import numpy as np
import pytest

from progeo_core.localization.tracker_monitor import TrackerMonitor, TrackerSettings

S = 1_000_000_000
SURE = np.array([0.5, 0.5, 0.3])


@pytest.fixture
def check() -> TrackerMonitor:
    return TrackerMonitor()


def at(x: float, yaw: float = 0.0) -> np.ndarray:
    return np.array([x, 0.0, yaw])


def started(check: TrackerMonitor, poses, first: int = 0, sigma: np.ndarray = SURE) -> list[int]:
    """Locate once a second; return the seconds of the starts."""
    seconds = range(first, first + len(poses))
    return [
        second
        for second, pose in zip(seconds, poses, strict=True)
        if check.locate(second * S, pose, sigma)
    ]


def test_a_tracker_that_knows_nothing_starts_with_the_third_pose(check: TrackerMonitor) -> None:
    assert started(check, [at(float(x)) for x in range(6)]) == [2]


def test_a_tracker_that_agrees_is_left_alone(check: TrackerMonitor) -> None:
    check.track(at(1.0))
    assert started(check, [at(x) for x in (0.0, 1.0, 2.0, 3.0, 4.0)]) == []


def test_a_lost_tracker_starts_again_and_then_has_time(check: TrackerMonitor) -> None:
    check.track(at(40.0))
    assert started(check, [at(0.1 * x) for x in range(20)]) == [2, 12]
    check.track(at(2.0))
    assert started(check, [at(2.0)] * 20, first=20) == []


def test_a_tracker_that_faces_backward_is_lost(check: TrackerMonitor) -> None:
    check.track(at(0.0, math.pi))
    assert started(check, [at(0.0)] * 3) == [2]


def test_single_wrong_poses_start_nothing(check: TrackerMonitor) -> None:
    check.track(at(0.0))
    assert started(check, [at(x) for x in (0.0, 30.0, 0.0, -50.0, 0.0)]) == []
    # Three in a row that contradict each other as much as the tracker.
    assert started(check, [at(x) for x in (30.0, -50.0, 70.0, 10.0)], first=10) == []


@pytest.mark.parametrize("sigma", [np.array([0.5, 0.5, 1000.0]), np.array([30.0, 30.0, 0.3])])
def test_unsure_poses_start_nothing(check: TrackerMonitor, sigma: np.ndarray) -> None:
    check.track(at(0.0))
    assert started(check, [at(10.0)] * 5, sigma=sigma) == []


def test_poses_that_are_not_finite_count_for_nothing(check: TrackerMonitor) -> None:
    check.track(at(math.nan))
    assert started(check, [at(math.nan), at(math.nan), at(math.nan), at(0.0)]) == []


def test_time_that_goes_back_ends_the_wait() -> None:
    check = TrackerMonitor(TrackerSettings(poses=1))
    assert started(check, [at(0.0)], first=1000) == [1000]
    assert started(check, [at(0.0)], first=5) == [5]
