"""`qos_overrides` of real publishers and subscriptions, and clear errors for wrong ones."""

from typing import Any

import pytest
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, ReliabilityPolicy
from std_msgs.msg import String

from progeo_core.errors import UsageError
from progeo_ros.process.guarded_node import GuardedLifecycleNode
from progeo_ros.process.qos_overrides import check_overrides


@pytest.fixture
def node(dds_domain: dict[str, str]):
    del dds_domain
    given = {
        "qos_overrides./robot/odom.subscription.depth": 7,
        "qos_overrides./robot/odom.subscription.reliability": "best_effort",
        "qos_overrides./robot/over/pose.publisher.durability": "transient_local",
    }
    made = GuardedLifecycleNode(
        "over",
        namespace="/robot",
        parameter_overrides=[Parameter(name, value=value) for name, value in given.items()],
    )
    yield made
    made.destroy_node()


def test_what_is_given_is_applied_each_time_and_the_rest_is_left(node) -> None:
    for depth in (3, 5):
        subscription = node.create_subscription(String, "odom", print, depth)
        assert subscription.qos_profile.depth == 7
        assert subscription.qos_profile.reliability == ReliabilityPolicy.BEST_EFFORT
        node.destroy_subscription(subscription)
    other = node.create_subscription(String, "other", print, 3)
    assert (other.qos_profile.depth, other.qos_profile.reliability) == (
        3,
        ReliabilityPolicy.RELIABLE,
    )
    publisher = node.create_lifecycle_publisher(String, "~/pose", 4)
    assert publisher.qos_profile.depth == 4
    assert publisher.qos_profile.durability == DurabilityPolicy.TRANSIENT_LOCAL


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("qos_overrides./odom.subscription.reliabilty", "reliable", "policy reliability"),
        ("qos_overrides.odom.subscription.depth", 5, "qos_overrides./TOPIC.subscription"),
        ("qos_overrides./odom.subscription.reliability", "reliably", "must be one of"),
        ("qos_overrides./odom.subscription.depth", "ten", "whole number"),
        ("qos_overrides./odom.subscription.depth", 0, "whole number"),
    ],
)
def test_a_wrong_override_is_named_with_the_fix(name: str, value: Any, said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        check_overrides({"map": "a.progeo", name: value})
    assert name in str(caught.value)
