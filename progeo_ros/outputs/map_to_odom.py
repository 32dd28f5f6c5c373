"""tf map → odom: where odometry started, so that map → base_link is the localizer's answer."""

from __future__ import annotations

import threading
from typing import Any, NamedTuple

import numpy as np
from geometry_msgs.msg import TransformStamped
from rclpy.node import Node

from progeo_core.errors import MissingDependencyError
from progeo_core.geo import FloatArray
from progeo_core.localization.answer import Localization
from progeo_core.poses.planar_pose import between, compose
from progeo_core.poses.pose_buffer import BufferedPose
from progeo_core.poses.pose_estimate import PoseEstimate
from progeo_ros.conversions import quaternion_from_yaw, stamp_from_ns
from progeo_ros.inputs.odometry import OdometryPose


class OdomInMap(NamedTuple):
    """Pose of the odometry's origin in the map: x, y (m), yaw (rad) [3], and a height (m)."""

    planar: FloatArray
    z_m: float = 0.0


class MapToOdom:
    """Broadcaster of map → odom, which sends the latest correction whenever odometry comes."""

    def __init__(self, node: Node, map_frame: str) -> None:
        """Create the broadcaster; `MissingDependencyError` without tf2_ros."""
        try:
            from tf2_ros import TransformBroadcaster
        except ImportError as error:
            raise MissingDependencyError(
                "publish_map_to_odom needs tf2_ros, which a ROS distribution provides"
                " (apt install ros-$ROS_DISTRO-tf2-ros); PyPI has none, so set it to false here"
            ) from error
        self._map_frame = map_frame
        self._broadcaster: Any = TransformBroadcaster(node)
        self._lock = threading.Lock()
        self._origin: OdomInMap | None = None

    def correct(self, answer: Localization, robot: BufferedPose | None) -> None:
        """Correct the transform by an accepted answer.

        robot: where odometry places the robot at the answer's time. Nothing changes without it, or
        without the answer's yaw.
        """
        if robot is None:
            return
        origin = odom_in_map(answer.estimate, robot)
        if np.isfinite([*origin.planar, origin.z_m]).all():
            self.place(origin)

    def place(self, origin: OdomInMap) -> None:
        """Broadcast this from now on."""
        with self._lock:
            self._origin = origin

    def broadcast(self, odometry: OdometryPose) -> None:
        """Send the transform for the time of a message of the odometry."""
        with self._lock:
            origin = self._origin
        if origin is not None:
            self._broadcaster.sendTransform(transform_message(origin, odometry, self._map_frame))


def odom_in_map(estimate: PoseEstimate, robot: BufferedPose) -> OdomInMap:
    """Return the pose of odom's origin that makes the robot's poses in map and odom one."""
    in_map = np.array([*estimate.position[:2], estimate.yaw_rad])
    planar = compose(in_map, between(robot.planar, np.zeros(3)))
    return OdomInMap(planar, float(estimate.position[2] - robot.position[2]))


def transform_message(
    origin: OdomInMap, odometry: OdometryPose, map_frame: str
) -> TransformStamped:
    """Return odom's origin in the map, for the time of a message of the odometry."""
    transform = TransformStamped()
    transform.header.stamp = stamp_from_ns(odometry.stamp_ns)
    transform.header.frame_id = map_frame
    transform.child_frame_id = odometry.frame
    x, y, yaw = (float(value) for value in origin.planar)
    translation = transform.transform.translation
    translation.x, translation.y, translation.z = x, y, origin.z_m
    transform.transform.rotation = quaternion_from_yaw(yaw)
    return transform
