from pathlib import Path

import numpy as np
import pytest

from progeo_core.dataset.passes import (
    moved_enough,
    number_passes,
    number_visits,
    split_roles,
    time_order,
)
from progeo_core.geo import Frame
from progeo_core.records.records import Records

S = 1_000_000_000


def records(x_m, seconds=None, traverse=None, yaw_rad=None, camera=None):
    """Return records along the x axis; seconds count from some day of today's clocks."""
    count = len(x_m)
    stamps = np.zeros(count) if seconds is None else np.array(seconds) + 1_600_000_000
    return Records(
        images=tuple(Path(f"{row}.jpg") for row in range(count)),
        position=np.column_stack([x_m, np.zeros((count, 2))]),
        frame=Frame.LOCAL,
        yaw_rad=np.full(count, np.nan) if yaw_rad is None else np.array(yaw_rad),
        stamp_ns=stamps.astype(np.int64) * S,
        camera=tuple(camera or [""] * count),
        traverse=tuple(traverse or [""] * count),
    )


def test_a_pass_ends_with_its_traverse_and_with_a_break():
    rows = records(
        range(6), seconds=[700, 0, 599, 1400, 0, 100], traverse=["a", "a", "a", "a", "b", "b"]
    )
    assert time_order(rows).tolist() == [1, 2, 0, 3, 4, 5]
    # 599 to 700 is no break, 700 to 1400 is one.
    assert number_passes(rows).tolist() == [0, 0, 0, 1, 2, 2]


def test_earlier_traverses_come_first_whatever_their_names():
    rows = records(range(4), seconds=[900, 901, 5, 6], traverse=["a", "a", "b", "b"])
    assert time_order(rows).tolist() == [2, 3, 0, 1]
    unstamped = records(range(4), traverse=["b", "b", "a", "a"])
    assert time_order(unstamped).tolist() == [0, 1, 2, 3]


def test_without_stamps_a_traverse_is_a_pass():
    assert number_passes(records(range(4), traverse=["a", "b", "a", "b"])).tolist() == [0, 1, 0, 1]


def test_a_camera_that_stands_still_adds_nothing():
    rows = records([0, 0.1, 0.4, 0.6, 0.7, 1.2], seconds=range(6))
    passes = number_passes(rows)
    assert np.flatnonzero(moved_enough(rows, passes, 0.5)).tolist() == [0, 3, 5]
    assert moved_enough(rows, passes, 0.0).all()


def test_turns_other_passes_and_other_cameras_count_as_new():
    turned = records([0, 0, 0, 0], seconds=range(4), yaw_rad=[3.1, -3.1, -2.9, np.nan])
    # 3.1 and -3.1 are 5 degrees apart, 3.1 and -2.9 are 16.
    assert moved_enough(turned, number_passes(turned), 0.5).tolist() == [True, False, True, False]
    passed = records([0, 0, 0], seconds=[0, 1, 5000])
    assert moved_enough(passed, number_passes(passed), 0.5).tolist() == [True, False, True]
    cameras = records([0, 0, 0, 0], range(4), camera=["left", "right", "left", "right"])
    assert moved_enough(cameras, number_passes(cameras), 0.5).tolist() == [True, True, False, False]


def test_a_visit_ends_when_the_camera_leaves():
    rows = records([0, 1, 2, 1, 0], seconds=range(5))
    inside = np.array([True, True, False, True, True])
    visits = number_visits(rows, np.zeros(5, np.int64), inside)
    assert visits[0] == visits[1]
    assert visits[3] == visits[4]
    assert visits[0] != visits[3]


def test_without_stamps_nobody_knows_when_the_camera_left():
    inside = np.array([True, True, False, True, True])
    visits = number_visits(records([0, 1, 2, 1, 0]), np.zeros(5, np.int64), inside)
    assert len(set(visits.tolist())) == 1


def test_second_visits_ask_the_first():
    cells = np.array([0, 1, 2, 3, 0, 1, 2, 9])
    visits = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    roles = split_roles(cells, visits)
    assert roles.by_pass
    assert np.flatnonzero(roles.database).tolist() == [0, 1, 2, 3]
    # Cell 9 is not in the database.
    assert np.flatnonzero(roles.queries).tolist() == [4, 5, 6]


def test_a_visit_that_shows_new_places_joins_the_database():
    cells = np.array([0, 1, 2, 3, 7, 8, 9, 0, 7, 1, 8])
    visits = np.array([0, 0, 0, 0, 1, 1, 1, 2, 2, 2, 2])
    roles = split_roles(cells, visits)
    assert np.flatnonzero(roles.database).tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert np.flatnonzero(roles.queries).tolist() == [7, 8, 9, 10]


@pytest.mark.parametrize("visits", [[0] * 6, [0, 0, 0, 0, 0, 1]])
def test_too_few_second_visits_make_every_other_image_a_query(visits):
    roles = split_roles(np.array([0, 0, 1, 1, 2, 2]), np.array(visits))
    assert not roles.by_pass
    assert np.flatnonzero(roles.queries).tolist() == [1, 3, 5]
    assert (roles.database ^ roles.queries).all()
