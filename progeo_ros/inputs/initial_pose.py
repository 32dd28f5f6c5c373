"""Where the robot is, as a person or another system says: RViz's "2D Pose Estimate"."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from geometry_msgs.msg import PoseWithCovarianceStamped
from rclpy.node import Node

from progeo_core.geo import FloatArray
from progeo_core.poses.pose_messages import read_pose, stamp_of

_PLANAR = np.ix_([0, 1, 5], [0, 1, 5])
_DEPTH = 10


class InitialPose(NamedTuple):
    """Pose in the map, x, y (m), yaw (rad) [3], with its covariance [3, 3]."""

    pose: FloatArray
    covariance: FloatArray


class InitialPoseInput:
    """Subscription to `initialpose`; what cannot be used is logged."""

    def __init__(
        self,
        node: Node,
        map_frame: str,
        deliver: Callable[[InitialPose], None],
        is_own: Callable[[int], bool],
    ) -> None:
        """Subscribe; `deliver` runs in the executor's thread and must be quick.

        is_own: says of a stamp (ns) whether it is that of a pose of this node, which
        progeo_pose_relay passes on to other trackers: that is no news.
        """
        self._node, self._map_frame, self._deliver = node, map_frame, deliver
        self._is_own = is_own
        self._subscription = node.create_subscription(
            PoseWithCovarianceStamped, "initialpose", self._on_pose, _DEPTH
        )

    def destroy(self) -> None:
        """Stop receiving."""
        self._node.destroy_subscription(self._subscription)

    def _on_pose(self, message: PoseWithCovarianceStamped) -> None:
        if self._is_own(stamp_of(message)):
            return
        read = read_initial_pose(message, self._map_frame)
        if isinstance(read, InitialPose):
            self._deliver(read)
        else:
            self._node.get_logger().warning(f"initialpose is not used: {read}")


def read_initial_pose(message: PoseWithCovarianceStamped, map_frame: str) -> InitialPose | str:
    """Return the pose that a message gives, or why it gives none."""
    frame = message.header.frame_id.lstrip("/")
    if frame not in {"", map_frame.lstrip("/")}:
        return f"it is in frame '{frame}', not '{map_frame}', which is to be RViz's fixed frame"
    reading = read_pose(message)
    covariance = np.array(message.pose.covariance).reshape(6, 6)[_PLANAR]
    if reading.problem or not np.isfinite(reading.planar).all():
        return f"it has {reading.problem or 'no rotation'}"
    # Written so that NaN counts as bad.
    if not (np.isfinite(covariance).all() and np.linalg.eigvalsh(covariance).min() >= 0.0):
        return "its covariance is none"
    return InitialPose(reading.planar, (covariance + covariance.T) / 2.0)
