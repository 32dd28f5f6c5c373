"""Static transforms come over DDS, also those that were sent before."""

import importlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from geometry_msgs.msg import Quaternion, Transform, TransformStamped, Vector3
from rclpy.qos import DurabilityPolicy, QoSProfile

from progeo_ros import tf2_topics
from progeo_ros.inputs.static_transforms import StaticTransforms
from progeo_ros.tf2_topics import TF_STATIC

LATCHED = QoSProfile(depth=10, durability=DurabilityPolicy.TRANSIENT_LOCAL)


def stamped(parent: str, child: str, x: float, w: float = 1.0) -> TransformStamped:
    message = TransformStamped(child_frame_id=child)
    message.header.frame_id = parent
    message.transform = Transform(translation=Vector3(x=x), rotation=Quaternion(w=w))
    return message


@pytest.fixture
def listener(peer, tf2_messages, monkeypatch) -> Iterator[tuple[StaticTransforms, Any]]:
    """Return the listener, and a publisher that has sent something before."""
    del tf2_messages
    kind: Any = importlib.import_module("tf2_msgs.msg").TFMessage
    monkeypatch.setattr(tf2_topics, "TFMessage", kind)
    publisher = peer.node.create_publisher(kind, TF_STATIC, LATCHED)
    publisher.publish(kind(transforms=[stamped("base_link", "/mast", 1.0)]))
    listening = StaticTransforms(peer.node)
    yield listening, lambda *transforms: publisher.publish(kind(transforms=list(transforms)))
    listening.destroy()
    peer.node.destroy_publisher(publisher)


@pytest.mark.slow  # messages are compiled
def test_what_was_sent_before_and_what_comes_later(peer, listener) -> None:
    listening, send = listener
    assert listening.has_listener
    peer.wait_for(lambda: listening.frames.pose("mast", "base_link"), "the latched transform")
    # Bad ones are dropped, and end nothing.
    send(stamped("mast", "camera", float("nan")), stamped("mast", "camera", 1.0, w=0.0))
    send(stamped("mast", "mast", 0.0), stamped("mast", "camera", 0.5))
    peer.wait_for(lambda: listening.frames.pose("camera", "base_link"), "the chain")
    found = listening.frames.pose("camera", "base_link")
    np.testing.assert_allclose(found.position, [1.5, 0.0, 0.0])


def test_nothing_comes_without_the_package(peer, monkeypatch) -> None:
    monkeypatch.setattr(tf2_topics, "TFMessage", None)
    listening = StaticTransforms(peer.node)
    assert not listening.has_listener
    assert listening.frames.pose("camera", "base_link") is None
    listening.destroy()
