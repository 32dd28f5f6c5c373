"""Frames of the robot that are fixed to each other, as robot_state_publisher sends them."""

from __future__ import annotations

from typing import Any

import numpy as np
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

from progeo_core.poses.transform import FrameTree, Transform

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
        for stamped in message.transforms:
            parent, child = stamped.header.frame_id.lstrip("/"), stamped.child_frame_id.lstrip("/")
            if not self.frames.add(parent, child, read_transform(stamped.transform)):
                self._node.get_logger().warning(
                    f"{TOPIC}: the transform from '{parent}' to '{child}' is dropped: it has no"
                    " names, no rotation or numbers that are of no robot",
                    throttle_duration_sec=5.0,
                )


def read_transform(message: Any) -> Transform:
    """Return the pose in a geometry_msgs/Transform, which need not be finite."""
    offset, turn = message.translation, message.rotation
    return Transform(
        np.array([offset.x, offset.y, offset.z]), np.array([turn.x, turn.y, turn.z, turn.w])
    )
