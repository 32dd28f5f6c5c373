"""One camera's subscription: every image is counted and handed on as it comes."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from rclpy.exceptions import NameValidationException
from rclpy.node import Node
from sensor_msgs.msg import CompressedImage, Image

from progeo_core.errors import UsageError
from progeo_ros.conversions import stamp_to_ns
from progeo_ros.inputs.camera_statistics import CameraStatistics
from progeo_ros.inputs.matched_subscription import MatchedSubscription
from progeo_ros.inputs.silence import SilenceLog, reason_for_silence
from progeo_ros.process.rcl_errors import reason_of
from progeo_ros.process.rclpy_versions import with_message_info
from progeo_ros.settings import NodeSettings

_MESSAGE_TYPES = {"raw": Image, "compressed": CompressedImage}


class Arrival(NamedTuple):
    """An image message, and when it came (`time.perf_counter`, s)."""

    message: Image | CompressedImage
    at_s: float


class ImageInput:
    """Subscription to one image topic, with a count of what was sent and never came.

    Gaps in the publishers' sequence numbers show every loss, also of images that newer ones pushed
    out of the queue of DDS. Where rclpy does not give these numbers, DDS's own report has to do.
    """

    def __init__(
        self,
        node: Node,
        topic: str,
        settings: NodeSettings,
        statistics: CameraStatistics,
        deliver: Callable[[str, Arrival], None],
    ) -> None:
        """Subscribe; `deliver` gets (topic, image) in the executor's thread and must be quick."""
        self.topic, self._node = topic, node
        self._statistics, self._deliver = statistics, deliver
        self._transport, self._silence = settings.image_transport, SilenceLog(node, topic)
        self._last_numbers: dict[bytes, int] = {}
        kind = _MESSAGE_TYPES[settings.image_transport]
        self._subscription = MatchedSubscription(
            node,
            kind,
            topic,
            with_message_info(self._on_image),
            depth=settings.image_depth,
            reliability=settings.image_reliability,
            on_mismatch=self._on_mismatch,
            on_lost=self._on_lost,
        )

    def count_publishers(self) -> int:
        """Return how many publishers send to this subscription."""
        return self._subscription.count_publishers()

    def explain_silence(self, timeout_s: float) -> str:
        """Return why no image comes, and log it once it takes longer than `timeout_s`."""
        counts = self._statistics.counts()
        if counts.silence_s <= timeout_s:
            self._silence.update(counts.silence_s, timeout_s, "")
            return ""
        reason = reason_for_silence(
            self._node,
            self.topic,
            self._transport,
            publishers=self.count_publishers(),
            lost=0 if counts.received else counts.lost,
            mismatch=counts.incompatible_qos,
        )
        self._silence.update(counts.silence_s, timeout_s, reason)
        return reason

    def destroy(self) -> None:
        """Stop receiving."""
        self._subscription.destroy()

    def _on_image(self, message: Image | CompressedImage, info: Mapping[str, Any]) -> None:
        self._statistics.count_received(stamp_to_ns(message.header.stamp))
        self._count_gap(info.get("publisher_gid"), info.get("publication_sequence_number"))
        self._deliver(self.topic, Arrival(message, time.perf_counter()))

    def _count_gap(self, publisher: Mapping[str, Any] | None, number: int | None) -> None:
        """Count the images of a publisher between its last one and this one."""
        if publisher is None or number is None:
            return
        key = bytes(publisher["data"])
        # What was sent before the first image may have been sent before the node listened.
        self._statistics.count_lost(max(0, number - self._last_numbers.get(key, number - 1) - 1))
        self._last_numbers[key] = number

    def _on_lost(self, event: Any) -> None:
        if not self._last_numbers:
            self._statistics.count_lost(event.total_count_change)

    def _on_mismatch(self, policy: str) -> None:
        self._statistics.note_incompatible_qos(policy)
        self._node.get_logger().error(
            f"{self.topic}: a publisher offers QoS that does not match ({policy}); no image comes"
            " from it: set image_reliability to auto"
        )


def image_topics(node: Node, settings: NodeSettings) -> list[str]:
    """Return the full topic of every camera: remapped, with the suffix of the transport.

    Raises `UsageError` for no camera, one named twice, and a name that is none of a topic.
    """
    suffix = "" if settings.image_transport == "raw" else f"/{settings.image_transport}"
    if not settings.cameras:
        raise UsageError("parameter cameras is empty: name at least one image topic")
    topics = []
    for camera in settings.cameras:
        try:
            topics.append(node.resolve_topic_name(camera) + suffix)
        # rclpy's RCLError, which its public modules do not name, is a RuntimeError.
        except (RuntimeError, NameValidationException) as error:
            raise UsageError(f"parameter cameras: '{camera}': {reason_of(error)}") from error
    if len(set(topics)) < len(topics):
        raise UsageError(f"parameter cameras names a topic twice: {', '.join(topics)}")
    return topics
