"""Frames of the robot that are fixed to each other, as robot_state_publisher sends them."""

from __future__ import annotations

from typing import Any

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

from progeo_core.poses.pose_messages import read_transforms
from progeo_core.poses.transform import FrameTree

try:
    from tf2_msgs import msg as tf2_msgs

    TFMessage: Any = tf2_msgs.TFMessage
except ImportError:  # PyPI has no tf2_msgs.
    TFMessage = None

TOPIC = "/tf_static"
# As tf2 listens to it: what was sent before still comes.
_QOS = QoSProfile(
    depth=100,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
    reliability=ReliabilityPolicy.RELIABLE,
)


class StaticTransforms:
    """Subscription to `/tf_static`; silent where tf2_msgs is not installed."""

    def __init__(self, node: Node) -> None:
        """Subscribe."""
        self._node = node
        self.frames = FrameTree()
        self._subscription = (
            None
            if TFMessage is None
            else node.create_subscription(TFMessage, TOPIC, self._on_transforms, _QOS)
        )

    @property
    def has_listener(self) -> bool:
        """Whether transforms can come at all."""
        return self._subscription is not None

    def destroy(self) -> None:
        """Stop receiving."""
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)

    def _on_transforms(self, message: Any) -> None:
        for _, parent, child, pose in read_transforms(message):
            if not self.frames.add(parent, child, pose):
                self._node.get_logger().warning(
                    f"{TOPIC}: the transform from '{parent}' to '{child}' is dropped: it has no"
                    " names, no rotation or numbers that are of no robot",
                    throttle_duration_sec=5.0,
                )
