"""What differs between the releases of rclpy: 3.3 (Humble), 7.1 (Jazzy) and 9.1 (Kilted).

All else that is called here is the same in the three.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

from lifecycle_msgs.srv import GetState
from rclpy.lifecycle import LifecycleNode
from rclpy.node import Node
from rclpy.subscription import Subscription

try:
    from rclpy.event_handler import (
        PublisherEventCallbacks,
        SubscriptionEventCallbacks,
        UnsupportedEventTypeError,
    )
except ImportError:  # Humble
    from rclpy.qos_event import (
        PublisherEventCallbacks,
        SubscriptionEventCallbacks,
        UnsupportedEventTypeError,
    )

__all__ = [
    "PublisherEventCallbacks",
    "SubscriptionEventCallbacks",
    "UnsupportedEventTypeError",
    "lifecycle_state",
    "publisher_count",
    "takes_message_info",
    "with_message_info",
]

MessageInfo = Mapping[str, Any]


def takes_message_info(kind: type = Subscription) -> bool:
    """Whether subscriptions of this rclpy call a callback of two arguments with the message info.

    Humble calls every callback with the message alone.
    """
    return hasattr(kind, "CallbackType")


def with_message_info(
    callback: Callable[[Any, MessageInfo], None], kind: type = Subscription
) -> Callable[..., None]:
    """Return a callback for `create_subscription` that gets (message, info) in every release.

    info: what the middleware knows of the message; empty on Humble.
    """
    if takes_message_info(kind):
        return callback

    @functools.wraps(callback)
    def message_alone(message: Any) -> None:
        callback(message, {})

    return message_alone


def publisher_count(node: Node, subscription: Any) -> int:
    """Return how many publishers send to a subscription.

    Humble only knows how many have its topic, also those whose QoS does not match.
    """
    count = getattr(subscription, "get_publisher_count", None)
    return int(node.count_publishers(subscription.topic_name) if count is None else count())


def lifecycle_state(node: LifecycleNode) -> str:
    """Return the state of a lifecycle node, such as "active".

    No release has a public name for it, but every one answers the node's own service.
    """
    service = next(service for service in node.services if service.srv_type is GetState)
    response: GetState.Response = service.callback(GetState.Request(), GetState.Response())
    return str(response.current_state.label)
