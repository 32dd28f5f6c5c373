"""The robot's odometry: poses in a frame that drifts, on level ground."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from builtin_interfaces.msg import Time
from nav_msgs.msg import Odometry
from rclpy.node import Node

from progeo_ros.conversions import stamp_to_ns, yaw_from_quaternion

_DEPTH = 50


class PlanarPose(NamedTuple):
    """Hold a pose on level ground: metres and the rotation (rad) about the vertical."""

    x: float
    y: float
    z: float
    yaw: float


class OdometryPose(NamedTuple):
    """Hold one odometry message: its stamp (ROS and ns), frames, and the robot's pose."""

    stamp: Time
    stamp_ns: int
    frame: str
    pose: PlanarPose
    child_frame: str


class OdometryInput:
    """Subscribe to `odom`; poses without stamp, position or rotation are counted and left out."""

    def __init__(self, node: Node, deliver: Callable[[OdometryPose], None]) -> None:
        """Subscribe; `deliver` runs in the executor's thread and must be quick."""
        self._node, self._deliver = node, deliver
        self.dropped = 0
        self._subscription = node.create_subscription(Odometry, "odom", self._on_odometry, _DEPTH)

    def destroy(self) -> None:
        """Stop receiving."""
        self._node.destroy_subscription(self._subscription)

    def _on_odometry(self, message: Odometry) -> None:
        odometry = read_odometry(message)
        if odometry.stamp_ns > 0 and all(math.isfinite(value) for value in odometry.pose):
            self._deliver(odometry)
            return
        self.dropped += 1
        self._node.get_logger().warning(
            "odometry dropped: a message has no stamp, no finite position or no rotation",
            throttle_duration_sec=5.0,
        )


def read_odometry(message: Odometry) -> OdometryPose:
    """Return what matters of an odometry message; NaN where it is not a pose."""
    pose, header = message.pose.pose, message.header
    point, yaw = pose.position, yaw_from_quaternion(pose.orientation)
    planar = PlanarPose(point.x, point.y, point.z, yaw)
    return OdometryPose(
        header.stamp, stamp_to_ns(header.stamp), header.frame_id, planar, message.child_frame_id
    )
