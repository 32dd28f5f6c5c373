import numpy as np
import pytest

from progeo_core.slam.odometry_track import OdometryTrack

S = 1_000_000_000


@pytest.fixture
def track() -> OdometryTrack:
    """Return ten seconds east at 1 m/s."""
    driven = OdometryTrack()
    for second in range(1, 11):
        driven.add(second * S, np.array([float(second), 0.0, 0.0]), 0)
    return driven


def test_poses_and_path_are_interpolated(track: OdometryTrack) -> None:
    found = track.at(np.array([1 * S, int(2.5 * S), 10 * S]))
    assert found.pose[:, 0] == pytest.approx([1.0, 2.5, 10.0])
    assert found.path_length_m == pytest.approx([0.0, 1.5, 9.0])
    assert found.segment.tolist() == [0, 0, 0]


def test_only_newer_poses_are_added(track: OdometryTrack) -> None:
    assert not track.add(10 * S, np.zeros(3), 0)
    assert not track.add(5 * S, np.zeros(3), 0)
    assert track.newest_ns == 10 * S
    assert track.covers(1 * S)
    assert not track.covers(10 * S + 1)
    assert not OdometryTrack().covers(1)


def test_a_robot_that_stands_fills_no_memory(track: OdometryTrack) -> None:
    before = len(track)
    for tick in range(1, 1000):
        track.add(10 * S + tick * S // 50, np.array([10.0, 0.0, 0.0]), 0)
    assert len(track) <= before + 2
    assert track.newest_ns > 29 * S
    turned = track.newest_ns + S
    track.add(turned, np.array([10.0, 0.0, 1.0]), 0)
    assert track.at(np.array([turned])).pose[0, 2] == pytest.approx(1.0)


def test_nothing_is_known_of_the_path_between_segments(track: OdometryTrack) -> None:
    track.add(11 * S, np.array([500.0, 0.0, 0.0]), 1)
    track.add(12 * S, np.array([501.0, 0.0, 0.0]), 1)
    found = track.at(np.array([10 * S, 11 * S, 12 * S]))
    assert found.segment.tolist() == [0, 1, 1]
    assert found.path_length_m == pytest.approx([9.0, 9.0, 10.0])


def test_milestones_are_ends_distances_and_new_segments(track: OdometryTrack) -> None:
    track.add(11 * S, np.array([500.0, 0.0, 0.0]), 1)
    track.add(12 * S, np.array([500.5, 0.0, 0.0]), 1)
    assert (track.milestones(3.0) // S).tolist() == [1, 4, 7, 10, 11, 12]


def test_a_copy_does_not_grow_with_the_original(track: OdometryTrack) -> None:
    twin = track.copy()
    track.add(11 * S, np.array([11.0, 0.0, 0.0]), 0)
    assert (len(twin), twin.newest_ns) == (10, 10 * S)
