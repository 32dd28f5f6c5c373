"""Odometry of the drives that the localizer's constants are fitted to."""

import math
from pathlib import Path

import numpy as np
import pytest

TRAINING = Path(__file__).resolve().parents[2] / "training"
SECOND = 10**9


@pytest.fixture
def odometry(monkeypatch):
    """Return the module."""
    monkeypatch.syspath_prepend(str(TRAINING))
    import localization_odometry

    return localization_odometry


def drive(position, yaw_rad, lead=0):
    from localization_scenes import Pass

    count = len(position)
    position = np.concatenate([np.asarray(position, float), np.zeros((count, 1))], axis=1)
    return Pass((), position, np.asarray(yaw_rad, float), ("",) * count, lead)


def stamps(count):
    return [range(number, number + 1) for number in range(1, count + 1)]


def test_true_odometry_is_the_way_between_images(odometry):
    clip = drive([[0, 0], [2, 0], [2, 3]], [0.0, 0.0, math.pi / 2.0])
    buffer = odometry.Odometry.TRUE.of_clip(clip, stamps(3))
    assert buffer.travel(SECOND, 2 * SECOND) == pytest.approx((2.0, 0.0))
    assert buffer.travel(2 * SECOND, 3 * SECOND) == pytest.approx((3.0, math.pi / 2.0))
    assert not odometry.Odometry.NONE.of_clip(clip, stamps(3)).heard
    # Without a direction, the robot looks where it drives, and where it drove before it stood.
    unknown = drive([[0, 0], [2, 0], [2, 3], [2, 3]], [math.nan] * 4)
    buffer = odometry.Odometry.TRUE.of_clip(unknown, stamps(4))
    assert buffer.travel(2 * SECOND, 3 * SECOND) == pytest.approx((3.0, math.pi / 2.0))
    assert buffer.travel(3 * SECOND, 4 * SECOND) == pytest.approx((0.0, 0.0))


def test_the_way_past_an_image_is_from_the_one_before_to_the_one_after(odometry):
    clip = drive([[0, 0], [2, 0], [2, 4], [2, 4]], [0.0] * 4)
    both = clip._replace(
        position=np.tile(clip.position, (2, 1)),
        yaw_rad=np.tile(clip.yaw_rad, 2),
        clip=("a",) * 4 + ("b",) * 4,
        shots=(None,) * 8,
    )
    assert odometry.ways(both).tolist() == 2 * [[2.0, 0.0], [2.0, 4.0], [0.0, 4.0], [0.0, 0.0]]


def test_drifting_odometry_errs_by_some_percent_and_its_yaw_wanders(odometry):
    clip = drive(np.arange(200)[:, None] * [1.0, 0.0], np.zeros(200))
    buffer = odometry.Odometry.DRIFTING.of_clip(clip, stamps(200))
    travel = buffer.travel(SECOND, 200 * SECOND)
    assert 199.0 * 1.01 < travel.distance_m < 199.0 * 1.05
    turns = [buffer.travel(at * SECOND, (at + 1) * SECOND).turn_rad for at in range(1, 200)]
    assert 0.02 < np.std(turns) < 0.04


def test_wheels_do_not_turn_while_a_robot_is_carried_off(odometry):
    clip = drive([[0, 0], [1, 0], [90, 5], [90, 6]], [0.0, 0.0, 1.5, 1.5], lead=2)
    buffer = odometry.Odometry.TRUE.of_clip(clip, stamps(4))
    assert buffer.travel(2 * SECOND, 3 * SECOND) == pytest.approx((0.0, 0.0))
    assert buffer.travel(3 * SECOND, 4 * SECOND) == pytest.approx((1.0, 0.0))
