"""A subscription that reliable and best-effort publishers reach, as in rosbag2 and RViz."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSPolicyKind, QoSProfile, ReliabilityPolicy, qos_policy_name_from_kind

from progeo_ros.process.rclpy_versions import (
    SubscriptionEventCallbacks,
    UnsupportedEventTypeError,
    publisher_count,
)

Event = Callable[[Any], None]


class MatchedSubscription:
    """Subscription whose reliability is that of its publishers, with `reliability` "auto".

    It asks for all messages until a publisher is found that does not promise them; from then on
    it takes what comes. Any other value of `reliability` stays.
    """

    def __init__(
        self,
        node: Node,
        kind: Any,
        topic: str,
        callback: Callable[..., None],
        *,
        depth: int,
        reliability: str = "auto",
        on_mismatch: Callable[[str], None] | None = None,
        on_lost: Event | None = None,
    ) -> None:
        """Subscribe.

        on_mismatch: is called with the policy by which a publisher does not match, where nothing
        can be done about it. on_lost: gets the middleware's report of lost messages, if it has any.
        """
        self._node, self._kind, self._callback = node, kind, callback
        self.topic, self._depth = node.resolve_topic_name(topic), depth
        self._on_mismatch = on_mismatch
        self._adapts = reliability == "auto"
        self._events: dict[str, Any] = {"incompatible_qos": self._mismatched}
        if on_lost is not None:
            self._events["message_lost"] = on_lost
        self._subscription = self._subscribe(best_effort=reliability == "best_effort")

    @property
    def is_reliable(self) -> bool:
        """Whether all messages are asked for."""
        return bool(self._subscription.qos_profile.reliability == ReliabilityPolicy.RELIABLE)

    def count_publishers(self) -> int:
        """Return how many publishers send to this subscription."""
        return publisher_count(self._node, self._subscription)

    def destroy(self) -> None:
        """Stop receiving."""
        self._node.destroy_subscription(self._subscription)

    def _subscribe(self, *, best_effort: bool) -> Any:
        """Subscribe with the reports that the middleware has."""
        # Only a report of mismatches shows whether a reliable subscription matches.
        best_effort = best_effort or (self._adapts and not self._events)
        reliability = ReliabilityPolicy.BEST_EFFORT if best_effort else ReliabilityPolicy.RELIABLE
        qos = QoSProfile(depth=self._depth, reliability=reliability)
        # Its first parameters are of other types.
        make: Any = SubscriptionEventCallbacks
        try:
            return self._node.create_subscription(
                self._kind,
                self.topic,
                self._callback,
                qos,
                event_callbacks=make(**self._events),
            )
        except UnsupportedEventTypeError:
            self._events.popitem()
            return self._subscribe(best_effort=best_effort)

    def _mismatched(self, event: Any) -> None:
        """Take what comes, if that helps; a reliability that `qos_overrides` fixed stays."""
        is_reliability = event.last_policy_kind == QoSPolicyKind.RELIABILITY
        if self._adapts and is_reliability and self.is_reliable:
            self._adapts = False
            previous, self._subscription = self._subscription, self._subscribe(best_effort=True)
            self._node.destroy_subscription(previous)
            if not self.is_reliable:
                self._node.get_logger().info(
                    f"{self.topic}: a publisher is best effort, so this subscription is, too"
                )
                return
        policy = qos_policy_name_from_kind(event.last_policy_kind)
        if self._on_mismatch is None:
            self._node.get_logger().error(
                f"{self.topic}: a publisher offers QoS that does not match ({policy}); nothing"
                " comes from it"
            )
        else:
            self._on_mismatch(policy)
