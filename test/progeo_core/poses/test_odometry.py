import math

import numpy as np
import pytest

from progeo_core.poses.odometry import Odometry

SECOND = 1_000_000_000


def driven(steps=10, speed_mps=1.0, turn_rate=0.0):
    odometry = Odometry(max_speed_mps=15.0)
    for step in range(1, steps + 1):
        odometry.add(step * SECOND, [step * speed_mps, 0.0, 0.0], step * turn_rate)
    return odometry


def test_travel_is_interpolated_between_messages():
    travel = driven(speed_mps=2.0, turn_rate=0.1).travel(int(2.5 * SECOND), int(5.25 * SECOND))
    assert travel.distance_m == pytest.approx(5.5)
    assert travel.turn_rad == pytest.approx(0.275)


def test_turning_through_the_seam_of_angles_is_a_small_turn():
    odometry = Odometry(15.0)
    odometry.add(1 * SECOND, [0.0, 0.0, 0.0], math.pi - 0.1)
    odometry.add(2 * SECOND, [0.0, 0.0, 0.0], -math.pi + 0.1)
    assert odometry.travel(1 * SECOND, 2 * SECOND).turn_rad == pytest.approx(0.2)


def test_way_counts_not_the_distance_between_ends():
    odometry = Odometry(15.0)
    for step, x_m in enumerate([0.0, 1.0, 0.0], start=1):
        odometry.add(step * SECOND, [x_m, 0.0, 0.0], 0.0)
    assert odometry.travel(1 * SECOND, 3 * SECOND).distance_m == pytest.approx(2.0)


@pytest.mark.parametrize(("from_s", "to_s"), [(0, 5), (2, 12), (-3, 4), (6, 5)])
def test_times_that_odometry_does_not_cover_give_nothing(from_s, to_s):
    assert driven().travel(from_s * SECOND, to_s * SECOND) is None


def test_nothing_is_known_before_the_first_message():
    assert Odometry(15.0).travel(1, 2) is None


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_messages_that_are_not_finite_are_left_out(bad):
    odometry = driven(3)
    odometry.add(4 * SECOND, [bad, 0.0, 0.0], 0.0)
    odometry.add(4 * SECOND, [4.0, 0.0, 0.0], bad)
    odometry.add(5 * SECOND, [5.0, 0.0, 0.0], 0.0)
    assert odometry.travel(3 * SECOND, 5 * SECOND).distance_m == pytest.approx(2.0)


def test_jump_forgets_the_way_before_it():
    odometry = driven(3)
    odometry.add(4 * SECOND, [500.0, 0.0, 0.0], 0.0)
    odometry.add(5 * SECOND, [501.0, 0.0, 0.0], 0.0)
    assert odometry.travel(2 * SECOND, 5 * SECOND) is None
    assert odometry.travel(4 * SECOND, 5 * SECOND).distance_m == pytest.approx(1.0)


def test_late_message_is_left_out_and_a_restart_of_time_begins_anew():
    odometry = driven(10)
    odometry.add(int(9.5 * SECOND), [99.0, 0.0, 0.0], 0.0)
    assert odometry.travel(9 * SECOND, 10 * SECOND).distance_m == pytest.approx(1.0)
    odometry.add(1 * SECOND, [0.0, 0.0, 0.0], 0.0)
    odometry.add(2 * SECOND, [3.0, 0.0, 0.0], 0.0)
    assert odometry.travel(9 * SECOND, 10 * SECOND) is None
    assert odometry.travel(1 * SECOND, 2 * SECOND).distance_m == pytest.approx(3.0)


def test_positions_may_be_arrays():
    odometry = Odometry(15.0)
    odometry.add(SECOND, np.zeros(3), 0.0)
    odometry.add(2 * SECOND, np.ones(3), 0.0)
    assert odometry.travel(SECOND, 2 * SECOND).distance_m == pytest.approx(math.sqrt(3.0))
