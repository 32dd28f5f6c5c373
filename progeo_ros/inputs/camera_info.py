"""A camera's calibration, as its driver publishes it beside the images."""

from __future__ import annotations

from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo

from progeo_core.images.intrinsics import Intrinsics, info_topic, is_rectified, read_camera_info


class CameraInfoInput:
    """Newest calibration of one camera, from `camera_info` beside its image topic."""

    def __init__(self, node: Node, image_topic: str) -> None:
        """Subscribe. image_topic: resolved, without the suffix of a transport."""
        self._node = node
        self.intrinsics: Intrinsics | None = None
        self._rectified = is_rectified(image_topic)
        self._subscription = node.create_subscription(
            CameraInfo, info_topic(image_topic), self._on_info, qos_profile_sensor_data
        )

    def destroy(self) -> None:
        """Stop receiving."""
        self._node.destroy_subscription(self._subscription)

    def _on_info(self, message: CameraInfo) -> None:
        self.intrinsics = read_camera_info(message, self._rectified)
