"""Frames of the robot that are fixed to each other, as robot_state_publisher sends them."""

from __future__ import annotations

from typing import Any

from rclpy.node import Node

from progeo_core.poses.pose_messages import read_transforms
from progeo_core.poses.transform import FrameTree
from progeo_ros import tf2_topics
from progeo_ros.tf2_topics import STATIC_QOS, TF_STATIC


class StaticTransforms:
    """Subscription to `/tf_static`; silent where tf2_msgs is not installed."""

    def __init__(self, node: Node) -> None:
        """Subscribe."""
        self._node = node
        self.frames = FrameTree()
        self._subscription = (
            None
            if tf2_topics.TFMessage is None
            else node.create_subscription(
                tf2_topics.TFMessage, TF_STATIC, self._on_transforms, STATIC_QOS
            )
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
                    f"{TF_STATIC}: the transform from '{parent}' to '{child}' is dropped: it has no"
                    " names, no rotation or numbers that are of no robot",
                    throttle_duration_sec=5.0,
                )
