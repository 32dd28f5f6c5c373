"""The robot's odometry: poses in a frame that drifts, on level ground."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from nav_msgs.msg import Odometry
from rclpy.node import Node

from progeo_core.geo import FloatArray
from progeo_core.poses.pose_messages import read_pose
from progeo_ros.inputs.matched_subscription import MatchedSubscription

_DEPTH = 50
_UNKNOWN_TURN = (math.nan, math.nan, math.nan, math.nan)


class OdometryPose(NamedTuple):
    """One message of the odometry.

    position: x, y, z (m) of `child_frame` in `frame`. yaw_rad: counter-clockwise from x.
    orientation: quaternion x y z w, NaN unknown.
    """

    stamp_ns: int
    position: tuple[float, float, float]
    yaw_rad: float
    frame: str
    child_frame: str
    orientation: tuple[float, float, float, float] = _UNKNOWN_TURN

    @property
    def planar(self) -> FloatArray:
        """Return x, y, yaw [3]."""
        return np.array([*self.position[:2], self.yaw_rad])


class OdometryInput:
    """Subscription to `odom`; poses without stamp, position or rotation are only counted."""

    def __init__(self, node: Node, deliver: Callable[[OdometryPose], None]) -> None:
        """Subscribe; `deliver` runs in the executor's thread and must be quick."""
        self._node, self._deliver = node, deliver
        self.dropped = 0
        self._subscription = MatchedSubscription(
            node, Odometry, "odom", self._on_odometry, depth=_DEPTH
        )

    def destroy(self) -> None:
        """Stop receiving."""
        self._subscription.destroy()

    def _on_odometry(self, message: Odometry) -> None:
        odometry = read_odometry(message)
        numbers = (*odometry.position, odometry.yaw_rad)
        if odometry.stamp_ns > 0 and all(map(math.isfinite, numbers)):
            self._deliver(odometry)
            return
        self.dropped += 1
        self._node.get_logger().warning(
            "odometry dropped: a message has no stamp, no finite position or no rotation",
            throttle_duration_sec=5.0,
        )


def read_odometry(message: Odometry) -> OdometryPose:
    """Return what matters of an odometry message; NaN where it is not a pose."""
    reading = read_pose(message)
    return OdometryPose(
        reading.stamp_ns,
        reading.position,
        reading.yaw_rad,
        message.header.frame_id,
        message.child_frame_id,
        reading.orientation,
    )
