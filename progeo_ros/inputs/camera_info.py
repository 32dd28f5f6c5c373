"""A camera's calibration, as its driver publishes it beside the images."""

from __future__ import annotations

from typing import NamedTuple

from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo

from progeo_core.errors import UsageError
from progeo_core.images.intrinsics import (
    Intrinsics,
    info_topic,
    is_rectified,
    read_camera_info,
    why_no_calibration,
)


class ImageCalibration(NamedTuple):
    """Calibration of one image; where it is None, `problem` says why."""

    intrinsics: Intrinsics | None
    problem: str = ""


class CameraInfoInput:
    """Newest calibration of one camera, from `camera_info` beside its image topic."""

    def __init__(self, node: Node, image_topic: str) -> None:
        """Subscribe. image_topic: resolved, without the suffix of a transport."""
        self._node, self._topic = node, info_topic(image_topic)
        self._newest = ImageCalibration(None, f"nothing comes on {self._topic}")
        self._rectified = is_rectified(image_topic)
        self._subscription = node.create_subscription(
            CameraInfo, self._topic, self._on_info, qos_profile_sensor_data
        )

    def of_image(self, width: int, height: int) -> ImageCalibration:
        """Return the calibration of an image of a size (pixels), which has to fit it."""
        newest = self._newest
        if newest.intrinsics is None:
            return newest
        try:
            newest.intrinsics.scaled(width, height)
        except UsageError as error:
            return ImageCalibration(None, f"{self._topic}: {error}")
        return newest

    def destroy(self) -> None:
        """Stop receiving."""
        self._node.destroy_subscription(self._subscription)

    def _on_info(self, message: CameraInfo) -> None:
        before, found = self._newest.intrinsics, read_camera_info(message, self._rectified)
        if found is None:
            why = why_no_calibration(message, self._rectified)
            self._newest = ImageCalibration(None, f"{self._topic} has no calibration: {why}")
            return
        self._newest = ImageCalibration(found)
        if before not in {None, found}:
            self._node.get_logger().info(f"{self._topic}: the camera has another calibration now")
