import math

import numpy as np
import pytest

from progeo_core.poses.camera_pose import rotation_of
from progeo_core.poses.pose_buffer import BufferedPose
from progeo_core.poses.pose_estimate import PoseEstimate
from progeo_core.slam.keyframes import Keyframe
from progeo_core.slam.loop_closure import LoopClosure
from progeo_core.slam.loop_pose import RelativePose
from progeo_core.slam.map_anchor import MapAnchor


def pose(x: float, y: float, yaw: float, segment: int = 0) -> BufferedPose:
    return BufferedPose(np.array([x, y, 0.5]), yaw, segment)


def seen(x: float, y: float, z: float, yaw: float, *, exact: bool = False) -> PoseEstimate:
    orientation = np.array([0.0, 0.0, math.sin(yaw / 2), math.cos(yaw / 2)]) if exact else None
    return PoseEstimate(np.array([x, y, z]), yaw, np.eye(6), 0.95, orientation)


def test_a_new_map_has_the_frame_of_its_first_odometry() -> None:
    anchor = MapAnchor(is_new_map=True)
    assert anchor.place(pose(1, 2, 0.3)).planar == pytest.approx([1, 2, 0.3])
    assert anchor.place(pose(1, 2, 0.3, segment=1)) is None, "the odometry started anew"


def test_a_map_is_continued_where_it_is_recognised() -> None:
    anchor = MapAnchor(is_new_map=False)
    assert anchor.place(pose(0, 0, 0)) is None
    anchor.recognised(seen(10.0, 0.0, 7.0, math.nan), pose(0, 0, 0))
    assert anchor.place(pose(0, 0, 0)) is None, "a direction is needed"
    anchor.recognised(seen(10.0, 0.0, 7.0, math.pi / 2), pose(2.0, 0.0, 0.0))
    placed = anchor.place(pose(5.0, 0.0, 0.0))
    assert placed.planar == pytest.approx([10.0, 3.0, math.pi / 2])
    assert placed.position[2] == 0.5
    anchor.recognised(seen(99.0, 0.0, 7.0, 0.0), pose(2.0, 0.0, 0.0))
    assert anchor.place(pose(5.0, 0.0, 0.0)).planar == pytest.approx(placed.planar)


def test_a_loop_closure_places_an_odometry_that_started_anew() -> None:
    anchor = MapAnchor(is_new_map=True)
    anchor.place(pose(0, 0, 0))
    match = Keyframe(0, 1, np.array([4.0, 0.0, 0.0]), 0, True, 4.0)
    query = Keyframe(9, 9, np.array([0.0, 0.0, 0.0]), 1, True, 0.0)
    relative = RelativePose(np.array([0.5, 0.0, 0.0]), np.eye(6))
    anchor.closed(LoopClosure(query, match, 0.5, 30.0, 5, relative))
    assert anchor.place(pose(1.0, 0.0, 0.0, segment=1)).planar == pytest.approx([5.5, 0.0, 0.0])


# Leans 0.1 rad to the left.
LEANING = np.array([math.sin(0.05), 0.0, 0.0, math.cos(0.05)])


def test_landmarks_place_all_six_degrees_once() -> None:
    anchor = MapAnchor(is_new_map=False)
    robot = pose(2.0, 0.0, 0.0)._replace(orientation=LEANING)
    anchor.recognised(seen(10.0, 0.0, 7.0, math.pi / 2), robot)
    # A similar place is not exact enough for landmarks.
    assert anchor.place(robot).orientation is None
    anchor.recognised(seen(10.2, 0.0, 7.0, math.pi / 2, exact=True), robot)
    placed = anchor.place(robot)
    assert placed.orientation is not None
    np.testing.assert_allclose(placed.position, [10.2, 0.0, 7.0], atol=1e-12)
    up = rotation_of(placed.orientation)[:, 2]
    # What was left of the robot is west of it in the map.
    np.testing.assert_allclose(up, [math.sin(0.1), 0.0, math.cos(0.1)], atol=1e-12)
    anchor.recognised(seen(50.0, 0.0, 7.0, 0.0, exact=True), robot)
    np.testing.assert_allclose(anchor.place(robot).position, placed.position)


def test_a_new_map_keeps_the_orientation_of_its_odometry() -> None:
    anchor = MapAnchor(is_new_map=True)
    placed = anchor.place(pose(1.0, 2.0, 0.0)._replace(orientation=LEANING))
    assert placed.orientation is not None
    np.testing.assert_allclose(placed.orientation, LEANING, atol=1e-12)
