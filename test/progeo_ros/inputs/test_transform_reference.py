"""Poses from /tf and /tf_static over DDS, as SLAM and odometry send them."""

import importlib
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from geometry_msgs.msg import TransformStamped

from progeo_core.poses.pose_messages import PoseReading
from progeo_ros import tf2_topics
from progeo_ros.conversions import quaternion_from_yaw, stamp_from_ns
from progeo_ros.inputs.transform_reference import TransformReference
from progeo_ros.tf2_topics import STATIC_QOS, TF, TF_QOS, TF_STATIC

S = 1_000_000_000


def link(second: float, parent: str, child: str, x: float, yaw: float = 0.0) -> TransformStamped:
    """Return the pose of a frame in its parent."""
    message = TransformStamped(child_frame_id=child)
    message.header.frame_id, message.header.stamp = parent, stamp_from_ns(round(second * S))
    message.transform.translation.x = x
    message.transform.rotation = quaternion_from_yaw(yaw)
    return message


class Listener:
    """Reference by tf, publishers for it, and what it delivers."""

    def __init__(self, peer: Any, kind: Any) -> None:
        self.peer, self._kind, self.taken = peer, kind, list[PoseReading]()
        self._tf = peer.node.create_publisher(kind, TF, TF_QOS)
        self._static = peer.node.create_publisher(kind, TF_STATIC, STATIC_QOS)
        foot = link(0, "base_footprint", "base_link", 0.0)
        self._static.publish(kind(transforms=[foot]))
        self.source = TransformReference(peer.node, "map", "base_link", self.taken.append)
        peer.wait_for(self._tf.get_subscription_count, "the subscription")
        frames = self.source._static.frames
        peer.wait_for(lambda: frames.pose("base_link", "base_footprint"), "the static transform")

    def send(self, *links: TransformStamped) -> None:
        self._tf.publish(self._kind(transforms=list(links)))

    def stop(self) -> None:
        self.source.destroy()
        for publisher in (self._tf, self._static):
            self.peer.node.destroy_publisher(publisher)


@pytest.fixture
def listener(peer, tf2_messages, monkeypatch: pytest.MonkeyPatch) -> Iterator[Listener]:
    del tf2_messages
    kind: Any = importlib.import_module("tf2_msgs.msg").TFMessage
    monkeypatch.setattr(tf2_topics, "TFMessage", kind)
    made = Listener(peer, kind)
    yield made
    made.stop()


@pytest.mark.slow  # messages are compiled
def test_a_pose_comes_once_every_transform_is_known_for_its_time(peer, listener: Listener) -> None:
    assert "/tf does not connect 'base_link' with 'map'" in listener.source.problem
    listener.send(link(1.0, "odom", "base_footprint", 1.0))
    listener.send(link(0.9, "map", "odom", 9.0, math.pi / 2), link(2.0, "a", "a", math.nan))
    peer.wait_for(lambda: listener.source.dropped, "the transform of no frame")
    assert not listener.taken
    listener.send(link(1.1, "map", "odom", 9.0, math.pi / 2))
    listener.send(link(1.05, "odom", "base_footprint", 1.5), link(1.2, "odom", "base_footprint", 2))
    peer.wait_for(lambda: len(listener.taken) == 2, "both poses")
    assert [reading.stamp_ns / S for reading in listener.taken] == [1.0, 1.05]
    found = np.array([reading.position for reading in listener.taken])
    np.testing.assert_allclose(found, np.array([[9.0, 1.0, 0.0], [9.0, 1.5, 0.0]]), atol=1e-9)
    assert listener.taken[0].yaw_rad == pytest.approx(math.pi / 2)
    half = math.sqrt(0.5)
    np.testing.assert_allclose(listener.taken[0].orientation, [0, 0, half, half], atol=1e-9)
    assert listener.source.problem == ""
