"""tf map → odom: where odometry started, so that map → base_link is the localizer's answer."""

from __future__ import annotations

import collections
import math
import threading
from typing import Any

from geometry_msgs.msg import TransformStamped
from rclpy.node import Node

from progeo_core.errors import MissingDependencyError
from progeo_core.geo import FloatArray, Frame
from progeo_core.localization.answer import Localization
from progeo_core.poses.pose_track import PoseTrack
from progeo_ros.conversions import quaternion_from_yaw
from progeo_ros.inputs.odometry import OdometryPose, PlanarPose

# Ten seconds at 50 Hz: longer than any answer takes.
_KEPT_POSES = 500


class MapToOdom:
    """Broadcast map → odom whenever odometry comes, as it was corrected last."""

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
        self._poses: collections.deque[tuple[int, PlanarPose]] = collections.deque(
            maxlen=_KEPT_POSES
        )
        self._correction: PlanarPose | None = None

    def correct(self, answer: Localization) -> None:
        """Take an accepted answer; it changes nothing without its yaw or odometry of its time."""
        with self._lock:
            poses = list(self._poses)
        track = PoseTrack.from_poses(
            [stamp_ns for stamp_ns, _ in poses],
            [pose[:3] for _, pose in poses],
            Frame.LOCAL,
            [pose.yaw for _, pose in poses],
        )
        position, yaw = track.at([answer.stamp_ns])
        estimate = answer.estimate
        correction = map_to_odom(
            _planar(estimate.position, estimate.yaw_rad), _planar(position[0], float(yaw[0]))
        )
        if all(math.isfinite(value) for value in correction):
            self.place(correction)

    def place(self, odom_in_map: PlanarPose) -> None:
        """Broadcast this from now on."""
        with self._lock:
            self._correction = odom_in_map

    def broadcast(self, odometry: OdometryPose) -> None:
        """Remember a pose of the odometry and send the transform for its time."""
        with self._lock:
            self._poses.append((odometry.stamp_ns, odometry.pose))
            correction = self._correction
        if correction is not None:
            self._broadcaster.sendTransform(
                transform_message(correction, odometry, self._map_frame)
            )


def map_to_odom(robot_in_map: PlanarPose, robot_in_odom: PlanarPose) -> PlanarPose:
    """Return the pose of odom's origin in the map that makes both poses one."""
    yaw = robot_in_map.yaw - robot_in_odom.yaw
    sine, cosine = math.sin(yaw), math.cos(yaw)
    return PlanarPose(
        robot_in_map.x - (cosine * robot_in_odom.x - sine * robot_in_odom.y),
        robot_in_map.y - (sine * robot_in_odom.x + cosine * robot_in_odom.y),
        robot_in_map.z - robot_in_odom.z,
        math.atan2(sine, cosine),
    )


def _planar(position: FloatArray, yaw_rad: float) -> PlanarPose:
    x, y, z = (float(value) for value in position)
    return PlanarPose(x, y, z, yaw_rad)


def transform_message(
    correction: PlanarPose, odometry: OdometryPose, map_frame: str
) -> TransformStamped:
    """Return odom's origin in the map, for the time of a message of the odometry."""
    transform = TransformStamped()
    transform.header.stamp = odometry.stamp
    transform.header.frame_id = map_frame
    transform.child_frame_id = odometry.frame
    translation = transform.transform.translation
    translation.x, translation.y, translation.z = correction[:3]
    transform.transform.rotation = quaternion_from_yaw(correction.yaw)
    return transform
