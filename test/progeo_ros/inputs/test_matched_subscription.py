"""Reliable and best-effort publishers over DDS, and middlewares that report less."""

from typing import Any

import pytest
from nav_msgs.msg import Odometry
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, ReliabilityPolicy
from std_msgs.msg import String

from progeo_ros.inputs import matched_subscription
from progeo_ros.inputs.matched_subscription import MatchedSubscription
from progeo_ros.inputs.odometry import OdometryInput
from progeo_ros.process.guarded_node import GuardedNode
from progeo_ros.process.rclpy_versions import UnsupportedEventTypeError

BEST_EFFORT = QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)


def test_messages_of_reliable_and_of_best_effort_publishers_come(peer) -> None:
    texts: list[str] = []
    subscription = MatchedSubscription(
        peer.node, String, "/mixed", lambda message: texts.append(message.data), depth=10
    )
    assert subscription.is_reliable
    certain = peer.node.create_publisher(String, "/mixed", 10)
    peer.wait_for(certain.get_subscription_count, "the reliable publisher's match")
    certain.publish(String(data="certain"))
    peer.wait_for(lambda: "certain" in texts, "the reliable message")
    shy = peer.node.create_publisher(String, "/mixed", BEST_EFFORT)
    peer.wait_for(lambda: not subscription.is_reliable, "the change")
    peer.wait_for(lambda: subscription.count_publishers() == 2, "both publishers")
    peer.wait_for(lambda: shy.get_subscription_count() and certain.get_subscription_count())
    shy.publish(String(data="shy"))
    certain.publish(String(data="certain again"))
    peer.wait_for(lambda: {"shy", "certain again"} <= set(texts), "messages of both")
    subscription.destroy()
    for publisher in (shy, certain):
        peer.node.destroy_publisher(publisher)


def test_odometry_of_a_best_effort_publisher_arrives(peer) -> None:
    poses: list[Any] = []
    odometry = OdometryInput(peer.node, poses.append)
    publisher = peer.node.create_publisher(Odometry, "odom", BEST_EFFORT)
    peer.wait_for(publisher.get_subscription_count, "the match")
    message = Odometry()
    message.header.stamp.sec = 5
    message.pose.pose.orientation.w = 1.0
    publisher.publish(message)
    peer.wait_for(lambda: poses, "the pose")
    assert poses[0].stamp_ns == 5_000_000_000
    odometry.destroy()
    peer.node.destroy_publisher(publisher)


@pytest.mark.parametrize("fixed", ["setting", "override"])
def test_a_reliability_that_was_asked_for_stays_and_the_mismatch_is_told(peer, fixed: str) -> None:
    topic, told = f"/fixed_by_{fixed}", list[str]()
    name = f"qos_overrides.{topic}.subscription.reliability"
    given = [Parameter(name, value="reliable")] if fixed == "override" else []
    node = GuardedNode("strict", parameter_overrides=given)
    peer.executor.add_node(node)
    subscription = MatchedSubscription(
        node,
        String,
        topic,
        print,
        depth=10,
        reliability="auto" if given else "reliable",
        on_mismatch=told.append,
    )
    publisher = peer.node.create_publisher(String, topic, BEST_EFFORT)
    peer.wait_for(lambda: told, "the mismatch")
    assert told[0] == "RELIABILITY"
    assert subscription.is_reliable
    peer.executor.remove_node(node)
    node.destroy_node()
    peer.node.destroy_publisher(publisher)


@pytest.mark.parametrize("known", [{"incompatible_qos"}, set()])
def test_a_middleware_that_reports_less_is_subscribed_to_all_the_same(
    peer, monkeypatch: pytest.MonkeyPatch, known: set[str]
) -> None:
    def events(**callbacks: Any) -> Any:
        if not set(callbacks) <= known:
            raise UnsupportedEventTypeError("not reported here")

    monkeypatch.setattr(matched_subscription, "SubscriptionEventCallbacks", events)
    subscription = MatchedSubscription(
        peer.node, String, "/quiet", print, depth=1, on_lost=lambda event: None
    )
    # Without a report of mismatches, only best effort is sure to match.
    assert subscription.is_reliable is bool(known)
    subscription.destroy()
