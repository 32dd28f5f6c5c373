"""The node `progeo_pose_relay`: the localizer's poses as other systems want to be told of them.

AMCL and slam_toolbox forget what they tracked with every message on `initialpose`, so
they get one only while they are lost. RTAB-Map reads the frame of `global_pose` as the frame whose
pose it is, not as the one that it is given in.
"""

from __future__ import annotations

import copy
import sys
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
from geometry_msgs.msg import PoseWithCovarianceStamped
from rclpy.node import Node
from std_srvs.srv import Trigger

from progeo_core.geo import FloatArray
from progeo_core.localization.tracker_monitor import TrackerMonitor, TrackerSettings
from progeo_core.poses.pose_messages import read_pose, stamp_of
from progeo_ros.parameters import POSE_RELAY_GROUPS, NodeParameters
from progeo_ros.process.log_forwarding import forward_logs, stop_forwarding
from progeo_ros.process.spinning import run_node
from progeo_ros.settings import PoseRelayNodeSettings

NODE = "progeo_pose_relay"
_DEPTH = 10


class PoseRelayNode(Node):  # type: ignore[misc]  # rclpy is untyped in older ROS
    """Pass poses on, the ones that start a tracker only when it needs them."""

    def __init__(self, **options: Any) -> None:
        """Declare parameters and topics; `ProgeoError` says what is wrong with a parameter.

        options: what every rclpy node takes, such as `context` or `parameter_overrides`.
        """
        super().__init__(NODE, **options)
        self._log_handler = forward_logs(self.get_logger())
        parameters = NodeParameters(self, on_change=lambda: None, groups=POSE_RELAY_GROUPS)
        self._base_frame = parameters.get(PoseRelayNodeSettings).base_frame
        self._check = TrackerMonitor(parameters.get(TrackerSettings))
        self._is_asked = False
        # Messages and services may come in different threads.
        self._lock = threading.Lock()
        kind = PoseWithCovarianceStamped
        self._initial = self.create_publisher(kind, "initialpose", _DEPTH)
        self._global = self.create_publisher(kind, "global_pose", _DEPTH)
        self.create_subscription(kind, "pose", self._on_pose, _DEPTH)
        self.create_subscription(kind, "tracked_pose", self._on_tracked, _DEPTH)
        self.create_service(Trigger, "~/start_tracker", self._on_start)

    def destroy_node(self) -> None:
        """Remove the node."""
        stop_forwarding(self._log_handler)
        super().destroy_node()

    def _on_pose(self, message: PoseWithCovarianceStamped) -> None:
        self._global.publish(self._of_base(message))
        pose, sigma = read_pose(message).planar, _sigma(message)
        with self._lock:
            is_lost = self._check.locate(stamp_of(message), pose, sigma)
            start, self._is_asked = is_lost or self._is_asked, False
        if start:
            self._initial.publish(message)
            x, y, yaw = pose
            self.get_logger().info(f"the tracker starts at x {x:.1f}, y {y:.1f}, yaw {yaw:.1f}")

    def _on_tracked(self, message: PoseWithCovarianceStamped) -> None:
        with self._lock:
            self._check.track(read_pose(message).planar)

    def _on_start(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        with self._lock:
            self._is_asked = True
        response.success, response.message = True, "the tracker starts with the next pose"
        return response

    def _of_base(self, message: PoseWithCovarianceStamped) -> PoseWithCovarianceStamped:
        named = copy.copy(message)
        named.header = copy.copy(message.header)
        named.header.frame_id = self._base_frame
        return named


def _sigma(message: PoseWithCovarianceStamped) -> FloatArray:
    """Return the standard deviations of x, y (m) and yaw (rad)."""
    variance: FloatArray = np.array(message.pose.covariance)[[0, 7, 35]]
    return np.sqrt(np.maximum(variance, 0.0))


def main(args: Sequence[str] | None = None) -> int:
    """Run the node until SIGINT or SIGTERM; return the exit code, 2 for a bad parameter."""
    return run_node(NODE, PoseRelayNode, args)


if __name__ == "__main__":
    sys.exit(main())
