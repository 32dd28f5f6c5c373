"""Readings of positions: what counts, and that rclpy's messages and rosbags' are read the same."""

import math
from types import SimpleNamespace

import pytest
from geometry_msgs.msg import PoseStamped, PoseWithCovarianceStamped, Quaternion
from nav_msgs.msg import Odometry
from rclpy.serialization import serialize_message
from sensor_msgs.msg import NavSatFix

from progeo_core.bags.messages import read_position
from progeo_core.poses.pose_messages import (
    nanoseconds,
    read_fix,
    read_pose,
    read_transforms,
    stamp_of,
    yaw_from_quaternion,
)

STAMP_NS = 1_700_000_000_123_456_789


def stamped(message):
    message.header.stamp.sec, message.header.stamp.nanosec = divmod(STAMP_NS, 10**9)
    return message


def fix(status: int = 0, latitude: float = 48.0, longitude: float = 11.5, altitude: float = 510.0):
    message = stamped(NavSatFix(latitude=latitude, longitude=longitude, altitude=altitude))
    message.status.status = status
    return message


def rotation(x: float, y: float, z: float, w: float) -> Quaternion:
    return Quaternion(x=float(x), y=float(y), z=float(z), w=float(w))


def pose_in(message):
    return message.pose if isinstance(message, PoseStamped) else message.pose.pose


@pytest.mark.parametrize("kind", [PoseStamped, PoseWithCovarianceStamped, Odometry])
def test_every_kind_of_pose_is_read_the_same_from_a_topic_and_from_a_bag(kind) -> None:
    message = stamped(kind())
    pose = pose_in(message)
    pose.position.x, pose.position.y, pose.position.z = 1.5, -2.5, 0.25
    # Rounded to one digit, as some senders do.
    pose.orientation.z = pose.orientation.w = 0.7
    live = read_pose(message)
    assert (live.stamp_ns, live.position, live.problem) == (STAMP_NS, (1.5, -2.5, 0.25), "")
    assert live.yaw_rad == pytest.approx(math.pi / 2)
    assert live.orientation == (0.0, 0.0, 0.7, 0.7)
    name = f"{kind.__module__.split('.')[0]}/msg/{kind.__name__}"
    assert read_position(serialize_message(message), name) == live


@pytest.mark.parametrize("bad", [math.nan, math.inf, -1e300])
def test_a_position_that_no_robot_has_is_a_problem(bad: float) -> None:
    message = stamped(PoseStamped())
    message.pose.position.y = bad
    reading = read_pose(message)
    assert reading.problem == "no finite position"
    assert all(map(math.isnan, reading.position))
    assert reading.stamp_ns == STAMP_NS


@pytest.mark.parametrize(
    "turn", [(0.0, 0.0, 0.0, 0.0), (math.nan, 0.0, 0.0, 1.0), (0, 0, 0, 1e200)]
)
def test_a_quaternion_that_is_none_leaves_yaw_unknown(turn) -> None:
    message = PoseStamped()
    message.pose.orientation = rotation(*turn)
    assert math.isnan(yaw_from_quaternion(message.pose.orientation))
    assert all(map(math.isnan, read_pose(message).orientation))


@pytest.mark.parametrize("length", [1e-3, 0.99, 1.0, 2.0, 1e6])
def test_the_length_of_a_quaternion_does_not_matter(length: float) -> None:
    half = 0.6
    turn = (0.0, 0.0, length * math.sin(half), length * math.cos(half))
    assert yaw_from_quaternion(rotation(*turn)) == pytest.approx(1.2)


def test_yaw_is_that_of_the_x_axis_when_the_body_also_tilts() -> None:
    # Pitched by 30° after turning by 90°: the x axis still points north, seen from above.
    yaw, pitch = math.pi / 2, math.pi / 6
    sy, cy = math.sin(yaw / 2), math.cos(yaw / 2)
    sp, cp = math.sin(pitch / 2), math.cos(pitch / 2)
    assert yaw_from_quaternion(rotation(-sp * sy, sp * cy, cp * sy, cp * cy)) == pytest.approx(yaw)


def test_a_fix_is_read_the_same_from_a_topic_and_from_a_bag() -> None:
    live = read_fix(fix())
    assert (live.position, live.problem) == ((48.0, 11.5, 510.0), "")
    assert math.isnan(live.yaw_rad)
    assert read_position(serialize_message(fix()), "sensor_msgs/msg/NavSatFix")[:2] == live[:2]


@pytest.mark.parametrize(
    ("message", "problem"),
    [
        (fix(status=-1), "no fix"),
        (fix(status=-2), "no fix"),
        (fix(latitude=91.0), "no latitude and longitude on earth"),
        (fix(longitude=-180.5), "no latitude and longitude on earth"),
        (fix(latitude=math.nan), "no latitude and longitude on earth"),
        (fix(latitude=0.0, longitude=0.0), "no latitude and longitude on earth"),
    ],
)
def test_what_is_no_fix_says_why(message, problem: str) -> None:
    reading = read_fix(message)
    assert reading.problem == problem
    assert all(map(math.isnan, reading.position))


def test_the_equator_and_the_meridian_of_greenwich_are_places() -> None:
    assert read_fix(fix(latitude=0.0)).problem == ""
    assert read_fix(fix(longitude=0.0)).problem == ""


@pytest.mark.parametrize("altitude", [math.nan, math.inf, 1e300])
def test_an_altitude_out_of_this_world_is_unknown(altitude: float) -> None:
    reading = read_fix(fix(altitude=altitude))
    assert reading.position[:2] == (48.0, 11.5)
    assert math.isnan(reading.position[2])


def test_stamps_keep_every_nanosecond() -> None:
    assert stamp_of(fix()) == STAMP_NS
    assert nanoseconds(2**31 - 1, 999_999_999) == (2**31 - 1) * 10**9 + 999_999_999


def test_transforms_are_read_as_they_are() -> None:
    turn = SimpleNamespace(x=0.5, y=-0.5, z=0.5, w=1.0)
    pose = SimpleNamespace(translation=SimpleNamespace(x=1.0, y=math.nan, z=3.0), rotation=turn)
    header = SimpleNamespace(stamp=SimpleNamespace(sec=2, nanosec=5), frame_id="/map")
    one = SimpleNamespace(header=header, child_frame_id="odom", transform=pose)
    ((stamp_ns, parent, child, read),) = read_transforms(SimpleNamespace(transforms=[one]))
    assert (stamp_ns, parent, child) == (2_000_000_005, "map", "odom")
    assert read.position.tolist()[::2] == [1.0, 3.0]
    assert not read.is_usable
    assert read.orientation.tolist() == [0.5, -0.5, 0.5, 1.0]
