"""Poses of one topic: where the robot was, how far it went, and what ends a segment."""

import itertools
import math
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from progeo_core.poses.pose_buffer import PoseBuffer

S = 1_000_000_000


@pytest.fixture
def buffer() -> PoseBuffer:
    """Return ten seconds of driving east at 1 m/s, ten poses a second."""
    filled = PoseBuffer()
    for tick in range(100, 201):
        filled.add(tick * S // 10, [tick / 10, 0.0, 0.0], 0.0)
    return filled


def filled(*poses: tuple[float, float, float]) -> PoseBuffer:
    """Return a buffer of poses: seconds, x, yaw."""
    made = PoseBuffer()
    for seconds, x, yaw in poses:
        made.add(int(seconds * S), [x, 0.0, 0.0], yaw)
    return made


def test_poses_are_interpolated_and_a_little_late_ones_waited_for_no_longer(buffer) -> None:
    assert buffer.at(int(15.25 * S)).planar == pytest.approx([15.25, 0.0, 0.0])
    assert buffer.at(int(20.1 * S)).planar == pytest.approx([20.0, 0.0, 0.0])
    assert buffer.at(10 * S).planar == pytest.approx([10.0, 0.0, 0.0])
    assert buffer.at(int(20.5 * S)) is None
    assert buffer.at(5 * S) is None
    assert PoseBuffer().at(S) is None


def test_a_gap_is_not_bridged(buffer) -> None:
    buffer.add(30 * S, [30.0, 0.0, 0.0], 0.0)
    assert buffer.at(25 * S) is None
    assert buffer.segment == 0


@pytest.mark.parametrize(
    ("stamp_s", "x"), [(20.1, 100.0), (3.0, 3.0)], ids=["a jump", "time again"]
)
def test_a_reset_begins_a_new_segment(buffer, stamp_s: float, x: float) -> None:
    buffer.add(int(stamp_s * S), [x, 0.0, 0.0], 0.0)
    found = buffer.at(int(stamp_s * S))
    assert (found.segment, found.position[0]) == (1, x)
    assert buffer.at(15 * S) is None
    assert buffer.travel(15 * S, int(stamp_s * S)) is None


def test_both_questions_have_one_rule_of_what_a_jump_is() -> None:
    fast = filled((1.0, 0.0, 0.0), (2.0, 29.0, 0.0), (3.0, 60.0, 0.0))
    assert fast.segment == 0
    assert fast.travel(S, 3 * S).distance_m == pytest.approx(60.0)
    fast.add(4 * S, [92.0, 0.0, 0.0], 0.0)
    assert fast.segment == 1
    assert fast.at(3 * S) is None
    assert fast.travel(3 * S, 4 * S) is None


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_disorder_and_nonsense_change_nothing(buffer, bad: float) -> None:
    buffer.add(int(19.9 * S), [500.0, 0.0, 0.0], 0.0)
    buffer.add(0, [0.0, 0.0, 0.0], 0.0)
    buffer.add(21 * S, [bad, 0.0, 0.0], 0.0)
    buffer.add(int(20.5 * S), [20.5, 0.0, 0.0], 0.0)
    assert buffer.segment == 0
    assert buffer.at(20 * S).position[0] == 20.0
    assert buffer.travel(15 * S, int(20.5 * S)).distance_m == pytest.approx(5.5)


def test_poses_without_a_yaw_place_but_do_not_turn(buffer) -> None:
    buffer.add(int(20.1 * S), [20.1, 0.0, 0.0], math.inf)
    assert buffer.at(int(20.1 * S)).position[0] == 20.1
    assert math.isnan(buffer.at(int(20.1 * S)).yaw_rad)
    assert buffer.travel(15 * S, int(20.1 * S)) is None
    assert buffer.travel(15 * S, 20 * S).distance_m == pytest.approx(5.0)


def test_travel_is_interpolated_between_poses() -> None:
    turning = filled(*((float(n), 2.0 * n, 0.1 * n) for n in range(1, 11)))
    travel = turning.travel(int(2.5 * S), int(5.25 * S))
    assert travel.distance_m == pytest.approx(5.5)
    assert travel.turn_rad == pytest.approx(0.275)


def test_turning_through_the_seam_of_angles_is_a_small_turn() -> None:
    seam = filled((1.0, 0.0, math.pi - 0.1), (2.0, 0.0, -math.pi + 0.1))
    assert seam.travel(1 * S, 2 * S).turn_rad == pytest.approx(0.2)
    assert seam.travel(int(1.5 * S), 2 * S).turn_rad == pytest.approx(0.1)


def test_travel_counts_the_path_and_not_the_distance_between_its_ends() -> None:
    there_and_back = filled((1.0, 0.0, 0.0), (2.0, 1.0, 0.0), (3.0, 0.0, 0.0))
    assert there_and_back.travel(1 * S, 3 * S).distance_m == pytest.approx(2.0)


@pytest.mark.parametrize(("from_s", "to_s"), [(0, 15), (9, 15), (12, 21), (-3, 14), (16, 15)])
def test_times_that_are_not_covered_give_no_travel(buffer, from_s: int, to_s: int) -> None:
    assert buffer.travel(from_s * S, to_s * S) is None
    assert PoseBuffer().travel(1, 2) is None


def test_a_silence_of_less_than_half_a_second_is_covered(buffer) -> None:
    assert buffer.travel(19 * S, int(20.4 * S)).distance_m == pytest.approx(1.0)


def test_two_minutes_at_100_hz_are_kept() -> None:
    long = PoseBuffer()
    for tick in range(1, 30_001):
        long.add(tick * S // 100, [tick / 100, 0.0, 0.0], 0.0)
    assert long.travel(181 * S, 300 * S).distance_m == pytest.approx(119.0)
    assert long.at(181 * S).position[0] == pytest.approx(181.0)
    assert long.at(S) is None
    assert long.segment == 0


@given(
    st.lists(st.tuples(st.integers(1, S), st.floats(-0.5, 0.5), st.floats(-3, 3)), min_size=2),
    st.data(),
)
def test_travel_agrees_with_the_sums_over_all_poses(steps, data) -> None:
    """As a plain interpolation of all that was driven and turned has it."""
    stamps = np.cumsum([elapsed for elapsed, _, _ in steps]) + S
    x, yaw = np.cumsum([step for _, step, _ in steps]), np.cumsum([turn for *_, turn in steps])
    buffer = PoseBuffer()
    for row, stamp in enumerate(stamps.tolist()):
        buffer.add(stamp, [x[row], 0.0, 0.0], yaw[row])
    from_ns = data.draw(st.integers(int(stamps[0]), int(stamps[-1])))
    to_ns = data.draw(st.integers(from_ns, int(stamps[-1])))
    length = np.concatenate([[0.0], np.cumsum(np.abs(np.diff(x)))])
    seconds, ends = (stamps - stamps[0]) * 1e-9, (np.array([from_ns, to_ns]) - stamps[0]) * 1e-9
    distance, turn = (np.diff(np.interp(ends, seconds, values))[0] for values in (length, yaw))
    travel = buffer.travel(from_ns, to_ns)
    assert travel.distance_m == pytest.approx(distance, abs=1e-6)
    assert math.cos(travel.turn_rad - turn) == pytest.approx(1.0, abs=1e-6)


def test_one_thread_may_add_while_others_ask() -> None:
    buffer, done = PoseBuffer(), threading.Event()

    def drive() -> None:
        for tick in range(1, 20_000):
            # Time starts again now and then.
            buffer.add((1 + tick % 5000) * S // 100, [0.01 * (tick % 5000), 0.0, 0.0], 0.0)
        done.set()

    driver = threading.Thread(target=drive)
    driver.start()
    for tick in itertools.cycle(range(1, 5000)):
        pose, travel = buffer.at(tick * S // 100), buffer.travel(S // 100, tick * S // 100)
        assert pose is None or 0.0 <= pose.position[0] <= 50.0
        assert travel is None or 0.0 <= travel.distance_m <= 50.0
        if done.is_set():
            break
    driver.join()
    assert buffer.segment == 3


def test_orientations_are_interpolated_where_they_are_known() -> None:
    poses = PoseBuffer()
    quarter = math.sqrt(0.5)
    poses.add(S, [0.0, 0.0, 0.0], 0.0, (0.0, 0.0, 0.0, 2.0))
    poses.add(2 * S, [1.0, 0.0, 0.0], 0.0, (quarter, 0.0, 0.0, quarter))
    halfway = poses.at(3 * S // 2)
    assert halfway is not None
    eighth = math.radians(22.5)
    assert halfway.orientation == pytest.approx([math.sin(eighth), 0.0, 0.0, math.cos(eighth)])
    late = poses.at(2 * S + S // 10)
    assert late is not None
    assert late.orientation == pytest.approx([quarter, 0.0, 0.0, quarter])
    poses.add(3 * S, [2.0, 0.0, 0.0], 0.0)
    unknown = poses.at(5 * S // 2)
    assert unknown is not None
    assert unknown.orientation is None
