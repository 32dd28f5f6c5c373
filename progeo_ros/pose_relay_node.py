"""The node `progeo_pose_relay`: the localizer's poses in the form that other systems read.

AMCL and slam_toolbox forget what they tracked with every message on `initialpose`, so they get one
only while they are lost. RTAB-Map takes the frame of `global_pose` for the frame whose pose it is,
not for the one that it is given in.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import PoseWithCovarianceStamped
from std_srvs.srv import Trigger

from progeo_core.geo import FloatArray
from progeo_core.localization.tracker_monitor import TrackerMonitor, TrackerSettings
from progeo_core.poses.pose_messages import read_pose
from progeo_ros.outputs.diagnostics import (
    diagnostic_status,
    failure_values,
    has_failed,
    publish_diagnostics,
)
from progeo_ros.parameters import POSE_RELAY_GROUPS, NodeParameters
from progeo_ros.process.guarded_node import GuardedNode
from progeo_ros.process.log_forwarding import forward_logs, stop_forwarding
from progeo_ros.process.spinning import run_node
from progeo_ros.settings import PoseRelayNodeSettings

NODE = "progeo_pose_relay"
_DEPTH = 10


class PoseRelayNode(GuardedNode):
    """Node that passes poses on, to the tracker only when it is lost."""

    def __init__(self, **options: Any) -> None:
        """Declare parameters and topics; `ProgeoError` says what is wrong with a parameter.

        options: what every rclpy node takes, such as `context` or `parameter_overrides`.
        """
        super().__init__(NODE, **options)
        self._log_handler = forward_logs(self.get_logger())
        parameters = NodeParameters(self, on_change=lambda: None, groups=POSE_RELAY_GROUPS)
        self._base_frame = parameters.get(PoseRelayNodeSettings).base_frame
        self._monitor = TrackerMonitor(parameters.get(TrackerSettings))
        self._is_asked = False
        self._passed = self._starts = self._dropped = 0
        # Messages and services may come in different threads.
        self._lock = threading.Lock()
        kind = PoseWithCovarianceStamped
        self._initial = self.create_publisher(kind, "initialpose", _DEPTH)
        self._global = self.create_publisher(kind, "global_pose", _DEPTH)
        self.create_subscription(kind, "pose", self._on_pose, _DEPTH)
        self.create_subscription(kind, "tracked_pose", self._on_tracked, _DEPTH)
        self.create_service(Trigger, "~/start_tracker", self._on_start)
        publish_diagnostics(self, self._statuses)

    def destroy_node(self) -> None:
        """Remove the node."""
        stop_forwarding(self._log_handler)
        super().destroy_node()

    def _on_pose(self, message: PoseWithCovarianceStamped) -> None:
        reading = read_pose(message)
        if reading.problem:
            self._dropped += 1
            self.get_logger().warning(
                f"pose dropped: a message has {reading.problem}", throttle_duration_sec=5.0
            )
            return
        self._global.publish(self._of_base(message))
        with self._lock:
            self._passed += 1
            is_lost = self._monitor.locate(reading.stamp_ns, reading.planar, _sigma(message))
            start, self._is_asked = is_lost or self._is_asked, False
            self._starts += start
        if start:
            self._initial.publish(message)
            x, y, yaw = reading.planar
            self.get_logger().info(f"the tracker starts at x {x:.1f}, y {y:.1f}, yaw {yaw:.1f}")

    def _on_tracked(self, message: PoseWithCovarianceStamped) -> None:
        with self._lock:
            self._monitor.track(read_pose(message).planar)

    def _on_start(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        with self._lock:
            self._is_asked = True
        response.success, response.message = True, "the tracker starts with the next pose"
        return response

    def _statuses(self) -> list[DiagnosticStatus]:
        failures = self.callback_failures.counts()
        values = {
            "poses": self._passed,
            "poses_dropped": self._dropped,
            "tracker_starts": self._starts,
            **failure_values(failures),
        }
        level, message = DiagnosticStatus.OK, f"{self._passed} poses passed on"
        if has_failed(failures):
            level, message = DiagnosticStatus.WARN, f"failed: {failures.last}"
        return [diagnostic_status("relay", level, message, values)]

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
