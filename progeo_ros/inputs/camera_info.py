"""A camera's calibration, as its driver publishes it beside the images."""

from __future__ import annotations

from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo

from progeo_core.verification.two_view_geometry import Intrinsics

# Models that OpenCV's coefficients express; fisheye lenses ("equidistant") are none of them.
_MODELS = ("plumb_bob", "rational_polynomial")


class CameraInfoInput:
    """Keep the newest calibration of one camera, from `camera_info` beside its image topic."""

    def __init__(self, node: Node, image_topic: str) -> None:
        """Subscribe. image_topic: resolved, without the suffix of a transport."""
        self._node = node
        self.intrinsics: Intrinsics | None = None
        self._rectified = "rect" in image_topic.rpartition("/")[2]
        self._subscription = node.create_subscription(
            CameraInfo, info_topic(image_topic), self._on_info, qos_profile_sensor_data
        )

    def destroy(self) -> None:
        """Stop receiving."""
        self._node.destroy_subscription(self._subscription)

    def _on_info(self, message: CameraInfo) -> None:
        self.intrinsics = read_camera_info(message, self._rectified)


def info_topic(image_topic: str) -> str:
    """Return the topic where drivers publish the calibration: the image's last word replaced."""
    return f"{image_topic.rpartition('/')[0]}/camera_info"


def read_camera_info(message: CameraInfo, rectified: bool) -> Intrinsics | None:
    """Return a calibration, None where the message holds none or OpenCV has no such model.

    rectified: the images are free of distortion, and P describes them instead of K and D.
    """
    if rectified:
        x, _, center_x, _, _, y, center_y, *_ = message.p
        found = Intrinsics(message.width, message.height, x, y, center_x, center_y)
    else:
        distortion = tuple(message.d)
        if any(distortion) and message.distortion_model not in _MODELS:
            return None
        x, _, center_x, _, y, center_y, *_ = message.k
        found = Intrinsics(message.width, message.height, x, y, center_x, center_y, distortion)
    return found if found.usable else None
