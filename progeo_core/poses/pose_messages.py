"""What ROS messages say of times and places, read the same way from a bag and from a live topic.

The messages of rclpy and of rosbags have the same fields, so that one reading serves both.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from progeo_core.geo import FloatArray, is_fix
from progeo_core.poses.transform import Transform

_NS_PER_S = 1_000_000_000
# sensor_msgs/NavSatStatus: lower is STATUS_NO_FIX (-1), or STATUS_UNKNOWN (-2) since Jazzy.
_STATUS_FIX = 0
# No robot is farther from its origin (m), also where that is the centre of the earth.
_MAX_COORDINATE_M = 1e8
# Higher or lower (m) than anything that takes pictures of places; then the altitude is unknown.
_MAX_ALTITUDE_M = 1e5
_UNKNOWN = (math.nan, math.nan, math.nan)
_UNKNOWN_TURN = (math.nan, math.nan, math.nan, math.nan)


class PoseReading(NamedTuple):
    """Stamp (ns, 0 or less unknown), position and yaw (rad, NaN unknown) of one message.

    position: x, y, z metres, or latitude and longitude degrees and altitude metres (NaN unknown);
    all NaN where the message has none. problem: why it has none, "" where it has one.
    orientation: quaternion x y z w of any length but zero, NaN unknown.
    """

    stamp_ns: int
    position: tuple[float, float, float]
    yaw_rad: float
    problem: str = ""
    orientation: tuple[float, float, float, float] = _UNKNOWN_TURN

    @property
    def planar(self) -> FloatArray:
        """Return x, y, yaw [3]."""
        return np.array([*self.position[:2], self.yaw_rad])


class StampedTransform(NamedTuple):
    """Pose of a frame in its parent at a stamp (ns), which need not be a number."""

    stamp_ns: int
    parent: str
    child: str
    pose: Transform


def nanoseconds(sec: int, nanosec: int) -> int:
    """Return a builtin_interfaces/Time as nanoseconds."""
    return int(sec) * _NS_PER_S + int(nanosec)


def stamp_of(message: Any) -> int:
    """Return the stamp (ns) of a message with a header."""
    stamp = message.header.stamp
    return nanoseconds(stamp.sec, stamp.nanosec)


def yaw_from_quaternion(rotation: Any) -> float:
    """Return the heading of the turned x axis in the plane (rad) of a Quaternion.

    The length does not matter, as some senders round: NaN only where it is zero or not finite.
    """
    x, y, z, w = rotation.x, rotation.y, rotation.z, rotation.w
    norm = x * x + y * y + z * z + w * w
    if not 0.0 < norm < math.inf:
        return math.nan
    return math.atan2(2.0 * (w * z + x * y), w * w + x * x - y * y - z * z)


def read_pose(message: Any) -> PoseReading:
    """Read a PoseStamped, PoseWithCovarianceStamped or Odometry."""
    # The last two hold a PoseWithCovariance.
    pose = getattr(message.pose, "pose", message.pose)
    yaw, turn = yaw_from_quaternion(pose.orientation), _UNKNOWN_TURN
    if not math.isnan(yaw):
        turn = (*(getattr(pose.orientation, axis) for axis in "xyzw"),)
    position = (pose.position.x, pose.position.y, pose.position.z)
    if not all(abs(value) <= _MAX_COORDINATE_M for value in position):
        return PoseReading(stamp_of(message), _UNKNOWN, yaw, "no finite position")
    return PoseReading(stamp_of(message), position, yaw, orientation=turn)


def read_fix(message: Any) -> PoseReading:
    """Read a NavSatFix; its yaw is unknown."""
    stamp_ns, latitude, longitude = stamp_of(message), message.latitude, message.longitude
    # Receivers fill the position of a message without a fix with anything, often 0, 0.
    if message.status.status < _STATUS_FIX:
        return PoseReading(stamp_ns, _UNKNOWN, math.nan, "no fix")
    if not is_fix(latitude, longitude):
        return PoseReading(stamp_ns, _UNKNOWN, math.nan, "no latitude and longitude on earth")
    is_altitude = abs(message.altitude) <= _MAX_ALTITUDE_M
    altitude = message.altitude if is_altitude else math.nan
    return PoseReading(stamp_ns, (latitude, longitude, altitude), math.nan)


def read_transforms(message: Any) -> list[StampedTransform]:
    """Read a tf2_msgs/TFMessage; frames lose the slash that ROS 1 wrote before them."""
    return [
        StampedTransform(
            stamp_of(one),
            one.header.frame_id.lstrip("/"),
            one.child_frame_id.lstrip("/"),
            read_transform(one.transform),
        )
        for one in message.transforms
    ]


def read_transform(message: Any) -> Transform:
    """Return the pose in a geometry_msgs/Transform, which need not be finite."""
    offset, turn = message.translation, message.rotation
    return Transform(
        np.array([offset.x, offset.y, offset.z]), np.array([turn.x, turn.y, turn.z, turn.w])
    )
