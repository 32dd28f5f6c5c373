"""Why no image comes from a topic, in words that name the fix."""

from __future__ import annotations

import time

from rclpy.node import Node

# Message type on the wire, and the suffix of the topic, of each transport.
_TYPES = {"raw": "sensor_msgs/msg/Image", "compressed": "sensor_msgs/msg/CompressedImage"}
_SUFFIXES = {"raw": "", "compressed": "/compressed"}
# Silence that goes on is logged again after this long (s).
_AGAIN_S = 60.0
_MAX_NAMED = 3
# What localizers publish, this one and those of other robots: no camera.
_ANSWERS = "/match_image"


class SilenceLog:
    """Log of one camera's silence: once when it begins to be too long, and then every minute."""

    def __init__(self, node: Node, topic: str) -> None:
        """Take the camera's topic."""
        self._node, self._topic = node, topic
        self._logged_at: float | None = None

    def update(self, silence_s: float, timeout_s: float, reason: str) -> None:
        """Log the silence so far (s) and its reason, where it is longer than `timeout_s`."""
        if silence_s <= timeout_s:
            self._logged_at = None
            return
        now = time.monotonic()
        if self._logged_at is None or now - self._logged_at > _AGAIN_S:
            self._logged_at = now
            self._node.get_logger().warning(
                f"{self._topic}: no images for {silence_s:.1f} s; {reason}"
            )


def reason_for_silence(
    node: Node, topic: str, transport: str, *, publishers: int, lost: int, mismatch: str
) -> str:
    """Return why nothing comes from an image topic.

    topic: resolved, with the suffix of the transport. publishers: how many match the subscription.
    lost: images that were sent and never received. mismatch: a policy of QoS that does not match.
    """
    if publishers and lost:
        return (
            f"{lost} were sent and lost: raw images need room in DDS on both sides"
            " (fastdds_profile:=shipped, and the same for the camera driver)"
        )
    if publishers:
        return f"{publishers} publisher(s)"
    if mismatch:
        return (
            f"the QoS of a publisher does not match ({mismatch}): set image_reliability to auto"
            " and remove qos_overrides of this topic"
        )
    suffix = _SUFFIXES["compressed"]
    if topic.endswith(2 * suffix):
        return f"the suffix is there twice: name the camera {topic.removesuffix(2 * suffix)}"
    return (
        _wrong_type(node, topic, transport)
        or _other_transport(node, topic, transport)
        or "nobody publishes the topic" + _images_elsewhere(node)
    )


def _wrong_type(node: Node, topic: str, transport: str) -> str:
    """Return what else is published on the topic, "" for nothing."""
    found = {info.topic_type for info in node.get_publishers_info_by_topic(topic)}
    wrong = sorted(found - {_TYPES[transport]})
    if not wrong:
        return ""
    said = f"the topic carries {wrong[0]}, not {_TYPES[transport]}"
    if transport == "raw" and wrong[0] == _TYPES["compressed"]:
        name = topic.removesuffix(_SUFFIXES["compressed"])
        return f"{said}: set image_transport to compressed, and name the camera {name}"
    if transport == "compressed" and wrong[0] == _TYPES["raw"]:
        return f"{said}: set image_transport to raw, and name the camera {topic}"
    return f"{said}: name a topic of images in the parameter cameras"


def _other_transport(node: Node, topic: str, transport: str) -> str:
    """Return that the camera publishes by another transport, "" where it does not."""
    base = topic.removesuffix(_SUFFIXES[transport])
    for other in _TYPES.keys() - {transport}:
        beside = base + _SUFFIXES[other]
        if any(
            info.topic_type == _TYPES[other] for info in node.get_publishers_info_by_topic(beside)
        ):
            return (
                f"nobody publishes the topic, but {beside} is there: set image_transport to {other}"
            )
    return ""


def _images_elsewhere(node: Node) -> str:
    topics = sorted(
        name
        for name, types in node.get_topic_names_and_types()
        if set(types) & set(_TYPES.values())
        and not name.endswith(_ANSWERS)
        and node.count_publishers(name)
    )
    named = ", ".join(topics[:_MAX_NAMED]) + (", …" if len(topics) > _MAX_NAMED else "")
    return f"; images are on {named}" if topics else ""
