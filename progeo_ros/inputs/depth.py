"""Depth images beside those of a camera, kept until a keyframe asks for one."""

from __future__ import annotations

from rclpy.node import Node
from sensor_msgs.msg import Image

from progeo_core.images.depth_buffer import DepthBuffer, RawDepth
from progeo_core.poses.pose_messages import stamp_of
from progeo_ros.inputs.matched_subscription import MatchedSubscription

# Depth that DDS keeps until the node takes it.
_DEPTH = 5


class DepthInput:
    """Subscription to the depth of one camera; `start` and `stop` it any number of times."""

    def __init__(self, node: Node, topic: str) -> None:
        """Take the topic of raw depth images, which are registered to the camera's."""
        self._node, self.topic = node, node.resolve_topic_name(topic)
        self.buffer = DepthBuffer()
        self._subscription: MatchedSubscription | None = None

    def start(self) -> None:
        """Subscribe."""
        self._subscription = MatchedSubscription(
            self._node, Image, self.topic, self._on_depth, depth=_DEPTH
        )

    def stop(self) -> None:
        """Stop receiving."""
        if self._subscription is not None:
            self._subscription.destroy()
        self._subscription = None

    def _on_depth(self, message: Image) -> None:
        depth = RawDepth(
            message.data,
            message.height,
            message.width,
            message.encoding,
            message.step,
            bool(message.is_bigendian),
        )
        self.buffer.add(stamp_of(message), depth)
