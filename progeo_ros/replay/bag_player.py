"""Play the images of a bag over DDS at the pace they were recorded, with their calibration."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from progeo_core.bags.messages import (
    COMPRESSED_IMAGE,
    RAW_IMAGE,
    camera_info_message,
    read_header,
)
from progeo_core.bags.reader import Bag, RawMessage
from progeo_core.errors import DataError
from progeo_core.images.intrinsics import Intrinsics, info_topic
from progeo_ros.process.rclpy_versions import PublisherEventCallbacks

MESSAGE_TYPES = {RAW_IMAGE: Image, COMPRESSED_IMAGE: CompressedImage}
_COMPRESSED = "/compressed"


class SentImage(NamedTuple):
    """Stamp (ns) of a published image, and when it went out (ns, system clock)."""

    stamp_ns: int
    sent_ns: int


class BagPlayer:
    """Publisher of one image topic of a bag, as a camera is: best effort, stamps as recorded.

    topic: of the bag. intrinsics: of the camera, published beside its images; None unknown.
    camera: what the node's parameter `cameras` calls it.
    """

    def __init__(
        self, node: Node, bag_path: Path, topic: str, intrinsics: Intrinsics | None = None
    ) -> None:
        """Check the bag and create the publisher; `DataError` if the topic has no images."""
        self._bag_path, self._topic = bag_path, topic
        with Bag(bag_path) as bag:
            info = bag.topics.get(topic)
            if info is None or info.type not in MESSAGE_TYPES:
                usable = [name for name, item in bag.topics.items() if item.type in MESSAGE_TYPES]
                raise DataError(
                    f"{bag_path}: '{topic}' is not an image topic of this bag;"
                    f" image topics: {', '.join(usable) or 'none'}"
                )
        self.count = info.count
        # Messages that the middleware would not take, as it does under pressure.
        self.refused = 0
        self.image_transport = "raw" if info.type == RAW_IMAGE else "compressed"
        self.camera = topic if self.image_transport == "raw" else topic.removesuffix(_COMPRESSED)
        self.published_topic = (
            self.camera if self.image_transport == "raw" else self.camera + _COMPRESSED
        )
        # The node asks for all images until it has found that a camera does not promise them.
        quiet = PublisherEventCallbacks(use_default_callbacks=False)
        self._publisher = node.create_publisher(
            MESSAGE_TYPES[info.type],
            self.published_topic,
            qos_profile_sensor_data,
            event_callbacks=quiet,
        )
        self._intrinsics = intrinsics
        self._info_publisher = node.create_publisher(
            CameraInfo, info_topic(self.camera), qos_profile_sensor_data
        )
        self._stopping = threading.Event()

    def has_listener(self) -> bool:
        """Whether the subscriptions have been found, that of the calibration if there is one."""
        publishers = [self._publisher]
        if self._intrinsics is not None:
            publishers.append(self._info_publisher)
        return all(publisher.get_subscription_count() for publisher in publishers)

    def stop(self) -> None:
        """Make `play` end before its next image."""
        self._stopping.set()

    def play(self) -> Iterator[SentImage]:
        """Publish all images, each at its time since the first; yield each as it goes out."""
        with Bag(self._bag_path) as bag:
            started = first = None
            for message in bag.raw_messages([self._topic]):
                if started is None or first is None:
                    started, first = time.monotonic(), message.received_ns
                due = started + (message.received_ns - first) / 1e9
                if self._stopping.wait(max(0.0, due - time.monotonic())):
                    return
                yield self._send(message)

    def _send(self, message: RawMessage) -> SentImage:
        """Publish one message as it was recorded, byte for byte, its calibration before it."""
        header = read_header(message.data)
        sent = SentImage(header.stamp_ns, time.time_ns())
        try:
            if self._intrinsics is not None:
                info = camera_info_message(header, self._intrinsics)
                self._info_publisher.publish(bytes(info))
            self._publisher.publish(message.data)
        except RuntimeError:  # rclpy's RCLError
            self.refused += 1
        return sent
