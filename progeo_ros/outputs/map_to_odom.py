"""tf map → odom: where odometry started, so that map → base_link is the localizer's answer."""

from __future__ import annotations

import threading

import numpy as np
from geometry_msgs.msg import TransformStamped
from rclpy.node import Node

from progeo_core.localization.pose_stream import OdomInMap
from progeo_ros.conversions import quaternion_from_yaw, stamp_from_ns
from progeo_ros.inputs.odometry import OdometryPose
from progeo_ros.tf2_topics import TF, TF_QOS, require_tf2

# The odometry's origin where nothing is known but that the map starts where odometry does.
AT_ORIGIN = OdomInMap(np.zeros(3))


class MapToOdom:
    """Broadcaster of map → odom, which sends the latest correction whenever odometry comes."""

    def __init__(self, node: Node, map_frame: str, tolerance_s: float) -> None:
        """Create the broadcaster; `MissingDependencyError` without tf2_msgs.

        tolerance_s: how far ahead (s) of the odometry the transform is dated, so that sensors
        newer than the last odometry find it.
        """
        self._kind = require_tf2("publish_map_to_odom")
        self._node, self._map_frame = node, map_frame
        self._tolerance_ns = round(tolerance_s * 1e9)
        self._publisher = node.create_publisher(self._kind, TF, TF_QOS)
        self._lock = threading.Lock()
        self._origin: OdomInMap | None = None

    def place(self, origin: OdomInMap) -> None:
        """Broadcast this from now on."""
        with self._lock:
            self._origin = origin

    def broadcast(self, odometry: OdometryPose) -> None:
        """Send the transform for the time of a message of the odometry."""
        with self._lock:
            origin = self._origin
        if origin is not None:
            valid = odometry._replace(stamp_ns=odometry.stamp_ns + self._tolerance_ns)
            transform = transform_message(origin, valid, self._map_frame)
            self._publisher.publish(self._kind(transforms=[transform]))

    def destroy(self) -> None:
        """Remove the publisher from the node."""
        self._node.destroy_publisher(self._publisher)


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
