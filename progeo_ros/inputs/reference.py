"""Where the robot was, as another system knows it: the positions of a map that is being made."""

from __future__ import annotations

from collections.abc import Callable

from geometry_msgs.msg import PoseStamped, PoseWithCovarianceStamped
from nav_msgs.msg import Odometry
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import NavSatFix

from progeo_core.poses.pose_messages import PoseReading, read_fix, read_pose

_POSES = {
    "pose": PoseStamped,
    "pose_with_covariance": PoseWithCovarianceStamped,
    "odometry_reference": Odometry,
}


class ReferenceInput:
    """Subscription to `pose_reference` or `fix_reference`; what is of no use is counted."""

    def __init__(self, node: Node, kind: str, deliver: Callable[[PoseReading], None]) -> None:
        """Subscribe; `deliver` runs in the executor's thread and must be quick."""
        self._node, self._deliver = node, deliver
        self.dropped = 0
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
        self._take(read_pose(message))

    def _on_fix(self, message: NavSatFix) -> None:
        self._take(read_fix(message))

    def _take(self, reading: PoseReading) -> None:
        problem = "no stamp" if reading.stamp_ns <= 0 else reading.problem
        if not problem:
            self._deliver(reading)
            return
        self.dropped += 1
        self._node.get_logger().warning(
            f"reference dropped: a message has {problem}", throttle_duration_sec=5.0
        )
