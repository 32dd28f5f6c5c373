"""What differs between releases, with stand-ins of the older ones."""

from types import SimpleNamespace
from typing import Any

from rclpy.lifecycle import LifecycleNode
from std_msgs.msg import String

from progeo_ros.process.guarded_node import CallbackFailures
from progeo_ros.process.rclpy_versions import (
    lifecycle_state,
    publisher_count,
    takes_message_info,
    with_message_info,
)


class HumbleSubscription:
    """What rclpy 3.3 has: no kinds of callbacks, no count of its publishers."""

    topic_name = "/camera"

    def __init__(self, callback: Any) -> None:
        self.callback = callback

    def execute(self, message: Any) -> None:
        """Call as rclpy 3.3's `Executor._execute_subscription` does."""
        self.callback(message)


def test_on_humble_a_callback_that_wants_the_info_gets_the_message_and_none() -> None:
    calls: list[tuple[Any, Any]] = []
    failures = CallbackFailures()

    def on_image(message: Any, info: Any) -> None:
        calls.append((message, info))

    assert not takes_message_info(HumbleSubscription)
    guarded = failures.guard(with_message_info(on_image, HumbleSubscription))
    HumbleSubscription(guarded).execute("image")
    assert calls == [("image", {})]
    assert failures.counts().total == 0


def test_later_releases_give_the_info_of_the_middleware(peer) -> None:
    calls: list[tuple[Any, Any]] = []

    def on_text(message: Any, info: Any) -> None:
        calls.append((message.data, info))

    assert takes_message_info()
    subscription = peer.node.create_subscription(String, "/text", with_message_info(on_text), 1)
    publisher = peer.node.create_publisher(String, "/text", 1)
    peer.wait_for(publisher.get_subscription_count, "the subscription")
    publisher.publish(String(data="hello"))
    peer.wait_for(lambda: calls, "the text")
    ((text, info),) = calls
    assert text == "hello"
    assert info["source_timestamp"] > 0
    assert publisher_count(peer.node, subscription) == 1


def test_on_humble_publishers_are_those_of_the_topic() -> None:
    node: Any = SimpleNamespace(count_publishers={"/camera": 2}.get)
    assert publisher_count(node, HumbleSubscription(print)) == 2


def test_the_state_of_a_lifecycle_node_is_its_own_answer(dds_domain: dict[str, str]) -> None:
    del dds_domain
    node = LifecycleNode("states")
    assert lifecycle_state(node) == "unconfigured"
    node.trigger_configure()
    node.trigger_activate()
    assert lifecycle_state(node) == "active"
    node.destroy_node()
