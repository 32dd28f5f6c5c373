"""Where the robot was, as another system knows it: the positions of a map that is being made."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from geometry_msgs.msg import Pose, PoseStamped, PoseWithCovarianceStamped
from nav_msgs.msg import Odometry
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import NavSatFix, NavSatStatus
from std_msgs.msg import Header

from progeo_core.geo import FloatArray
from progeo_ros.conversions import stamp_to_ns, yaw_from_quaternion

# Takes a stamp (ns), x, y, z (m) or latitude, longitude, altitude [3], and a yaw (rad, NaN).
Deliver = Callable[[int, FloatArray, float], None]

_POSES = {
    "pose": PoseStamped,
    "pose_with_covariance": PoseWithCovarianceStamped,
    "odometry_reference": Odometry,
}


class ReferenceInput:
    """Subscribe to `pose_reference` or `fix_reference`; messages of no use are left out."""

    def __init__(self, node: Node, kind: str, deliver: Deliver) -> None:
        """Subscribe; `deliver` runs in the executor's thread and must be quick."""
        self._node, self._deliver = node, deliver
        if kind == "fix":
            self._subscription = node.create_subscription(
                NavSatFix, "fix_reference", self._on_fix, qos_profile_sensor_data
            )
        else:
            self._subscription = node.create_subscription(
                _POSES[kind], "pose_reference", self._on_pose, qos_profile_sensor_data
            )

    def destroy(self) -> None:
        """Stop receiving."""
        self._node.destroy_subscription(self._subscription)

    def _on_pose(self, message: PoseStamped | PoseWithCovarianceStamped | Odometry) -> None:
        stamped = isinstance(message, PoseStamped)
        self._pose(message.header, message.pose if stamped else message.pose.pose)

    def _pose(self, header: Header, pose: Pose) -> None:
        point = pose.position
        yaw = yaw_from_quaternion(pose.orientation)
        self._deliver(stamp_to_ns(header.stamp), np.array([point.x, point.y, point.z]), yaw)

    def _on_fix(self, fix: NavSatFix) -> None:
        geodetic = np.array([fix.latitude, fix.longitude, fix.altitude])
        if fix.status.status >= NavSatStatus.STATUS_FIX and np.isfinite(geodetic[:2]).all():
            self._deliver(stamp_to_ns(fix.header.stamp), geodetic, math.nan)
