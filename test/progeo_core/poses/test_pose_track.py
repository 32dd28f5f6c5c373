"""Interpolated poses: lines, arcs, holes and what is dropped."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from progeo_core.geo import Frame, wrap_angle
from progeo_core.poses.pose_track import PoseTrack
from progeo_core.records.records import read_records

SECOND = 10**9


def track(seconds, x, yaw=None, frame=Frame.LOCAL):
    positions = [(value, 2 * value, 0.0) for value in x]
    yaws = [0.0] * len(x) if yaw is None else yaw
    return PoseTrack.from_poses([int(s * SECOND) for s in seconds], positions, frame, yaws)


def test_between_two_poses_position_lies_on_the_line_and_yaw_on_the_shorter_arc():
    poses = track([10, 11], [0.0, 4.0], [math.radians(170), math.radians(-170)])
    position, yaw = poses.at([10 * SECOND, 10 * SECOND + SECOND // 4, 11 * SECOND])
    np.testing.assert_allclose(position, [[0, 0, 0], [1, 2, 0], [4, 8, 0]])
    np.testing.assert_allclose(np.degrees(yaw), [170, 175, -170])


def test_nothing_is_extrapolated_and_no_hole_is_bridged():
    poses = track([10, 11, 20], [0.0, 1.0, 2.0])
    outside = [9.99, 20.01, 0]
    in_the_hole = [12.5, 15.0, 18.5]
    # One side is near, the other is not.
    beside_the_hole = [11.5, 19.5]
    stamps = [int(s * SECOND) for s in outside + in_the_hole + beside_the_hole]
    position, yaw = poses.at(stamps)
    assert np.isnan(position).all()
    assert np.isnan(yaw).all()
    assert np.isfinite(poses.at([15 * SECOND], max_gap_s=5.0).position).all()


def test_a_pose_at_the_very_stamp_needs_no_neighbour():
    position, yaw = track([10], [3.0], [1.0]).at([10 * SECOND])
    np.testing.assert_array_equal(position, [[3.0, 6.0, 0.0]])
    np.testing.assert_array_equal(yaw, [1.0])


def test_poses_that_arrive_late_are_put_in_order():
    poses = track([12, 10, 11], [2.0, 0.0, 1.0])
    np.testing.assert_array_equal(poses.position[:, 0], [0.0, 1.0, 2.0])
    assert poses.dropped == 0


def test_unusable_poses_are_dropped_and_counted():
    poses = PoseTrack.from_poses(
        [0, -5, SECOND, 2 * SECOND, 3 * SECOND, 3 * SECOND],
        [(0, 0, 0), (0, 0, 0), (math.nan, 0, 0), (0, 0, math.inf), (1, 2, 3), (9, 9, 9)],
        Frame.LOCAL,
        [0.0, 0.0, 0.0, 0.0, math.nan, 0.0],
    )
    np.testing.assert_array_equal(poses.position, [[1, 2, 3]])
    assert np.isnan(poses.yaw_rad).all()
    assert poses.dropped == 5
    assert np.isnan(poses.at([3 * SECOND]).yaw_rad).all()


def test_an_unknown_altitude_does_not_drop_a_fix():
    poses = PoseTrack.from_poses(
        [SECOND, 2 * SECOND], [(48, 11, math.nan), (49, 12, 500)], Frame.WGS84, [math.nan] * 2
    )
    assert poses.dropped == 0
    np.testing.assert_allclose(poses.at([SECOND * 3 // 2]).position[0, :2], [48.5, 11.5])


def test_longitude_takes_the_short_way_across_180_degrees():
    poses = PoseTrack.from_poses(
        [SECOND, 2 * SECOND], [(0, 179.9, 0), (0, -179.7, 0)], Frame.WGS84, [math.nan] * 2
    )
    quarter, three_quarters = poses.at([SECOND * 5 // 4, SECOND * 7 // 4]).position[:, 1]
    assert quarter == pytest.approx(180.0)
    assert three_quarters == pytest.approx(-179.8)


def test_no_poses_give_no_positions():
    position, yaw = track([], []).at([SECOND])
    assert position.shape == (1, 3)
    assert np.isnan(position).all()
    assert np.isnan(yaw).all()


@given(st.floats(0.0, 1.0), st.integers(0, 70))
def test_the_campus_drive_is_never_left_between_its_poses(campus_loop, weight, row):
    records = read_records(campus_loop / "records.csv")
    stamps = 10**18 + np.arange(len(records)) * SECOND
    poses = PoseTrack.from_poses(stamps, records.position, Frame.LOCAL, records.yaw_rad)
    between = int(stamps[row] + round(weight * SECOND))
    position, yaw = poses.at([between])
    ends = records.position[row : row + 2]
    steps = np.linalg.norm(ends - position, axis=1)
    assert steps.sum() == pytest.approx(np.linalg.norm(ends[1] - ends[0]), abs=1e-6)
    turns = np.abs(wrap_angle(records.yaw_rad[row : row + 2] - yaw))
    whole = np.abs(wrap_angle(records.yaw_rad[row + 1] - records.yaw_rad[row]))
    assert turns.sum() == pytest.approx(float(whole), abs=1e-6)


def test_orientation_is_interpolated_as_positions_are():
    # A quarter turn about z within a second, told with quaternions of other lengths and signs.
    turns = [[0.0, 0.0, 0.0, 2.0], [0.0, 0.0, -3.0, -3.0], [np.nan] * 4]
    stamps = [10 * SECOND, 11 * SECOND, 12 * SECOND]
    poses = PoseTrack.from_poses(stamps, np.zeros((3, 3)), Frame.LOCAL, [np.nan] * 3, turns)
    wanted = [10 * SECOND, 10 * SECOND + SECOND // 2, 11 * SECOND + 1, 13 * SECOND]
    found = poses.orientation_at(wanted)
    np.testing.assert_allclose(found[0], [0.0, 0.0, 0.0, 1.0])
    np.testing.assert_allclose(found[1, 2:], [np.sin(np.pi / 8), np.cos(np.pi / 8)])
    assert np.isnan(found[2:]).all()
    assert np.isnan(track([10, 11], [0.0, 1.0]).orientation_at([10 * SECOND])).all()
