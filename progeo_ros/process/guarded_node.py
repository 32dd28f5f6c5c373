"""A node that lives through whatever arrives: failures of its callbacks are counted and logged."""

from __future__ import annotations

import functools
import logging
import math
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from rclpy.lifecycle import LifecycleNode
from rclpy.node import Node
from rclpy.qos import QoSProfile

from progeo_ros.process.qos_overrides import overriding_options

_log = logging.getLogger(__name__)
# With the usual 10, of many requests at once only the newest ten would be answered.
_SERVICES = QoSProfile(depth=1000)


class FailureCounts(NamedTuple):
    """Number of callbacks that failed, the last failure, and the seconds since it."""

    total: int
    last: str
    age_s: float


class CallbackFailures:
    """Failures of a node's callbacks; every method may be called from any thread."""

    def __init__(self) -> None:
        """Start without any."""
        self._lock = threading.Lock()
        self._count, self._last, self._at = 0, "", -math.inf
        self._logged: set[tuple[str, type[Exception]]] = set()

    def counts(self) -> FailureCounts:
        """Return all figures at one moment."""
        with self._lock:
            return FailureCounts(self._count, self._last, time.monotonic() - self._at)

    def note(self, where: str, error: Exception) -> None:
        """Count a failure; log it with its traceback if it is the first of its kind."""
        kind = (where, type(error))
        with self._lock:
            self._count, self._at = self._count + 1, time.monotonic()
            self._last = f"{where}: {type(error).__name__}: {error}"[:500]
            first = kind not in self._logged
            self._logged.add(kind)
        if first:
            _log.error("%s failed, and is not logged again", where, exc_info=error)

    def guard(self, callback: Callable[..., Any]) -> Callable[..., Any]:
        """Return a callback that counts what the given one raises, and then returns None."""
        where = getattr(callback, "__qualname__", repr(callback))

        @functools.wraps(callback)
        def guarded(*arguments: Any) -> Any:
            try:
                return callback(*arguments)
            except Exception as error:
                self.note(where, error)
                return None

        return guarded

    def guard_service(self, callback: Callable[..., Any]) -> Callable[..., Any]:
        """Return a service's callback that answers also where the given one raises."""
        where = getattr(callback, "__qualname__", repr(callback))

        @functools.wraps(callback)
        def guarded(request: Any, response: Any) -> Any:
            try:
                return callback(request, response)
            except Exception as error:
                self.note(where, error)
                for field, value in (("success", False), ("message", f"failed: {error}")):
                    if hasattr(response, field):
                        setattr(response, field, value)
                return response

        return guarded


class GuardedNode(Node):  # type: ignore[misc]  # rclpy is untyped in older ROS
    """Node whose callbacks never end it, and whose services answer every request."""

    def __init__(self, name: str, **options: Any) -> None:
        """Create the node; options: what every rclpy node takes."""
        # rclpy creates services of its own already while the node is made.
        self.callback_failures = CallbackFailures()
        self.given_parameters: Mapping[str, Any] = {}
        super().__init__(name, automatically_declare_parameters_from_overrides=True, **options)
        for service in self.services:
            # Those of the lifecycle do not come through `create_service`.
            service.callback = self.callback_failures.guard_service(service.callback)

    def declare_parameters(  # type: ignore[override]  # distributions differ in the types
        self, namespace: str, parameters: Any, ignore_override: bool = False
    ) -> Any:
        """Declare parameters as rclpy does; those that it would declare itself are only noted.

        With what was given in files and arguments, rclpy does that once, in `__init__`. This is the
        public way to see it: `given_parameters`.
        """
        if not ignore_override:
            return super().declare_parameters(namespace, parameters)
        self.given_parameters = {name: value for name, value, _ in parameters}
        return []

    def create_subscription(
        self, msg_type: Any, topic: str, callback: Callable[..., Any], *args: Any, **options: Any
    ) -> Any:
        """Subscribe as rclpy does, with a guarded callback and `qos_overrides`."""
        guarded = self.callback_failures.guard(callback)
        options = {**self._overrides(topic, "subscription"), **options}
        return super().create_subscription(msg_type, topic, guarded, *args, **options)

    def create_publisher(self, msg_type: Any, topic: str, *args: Any, **options: Any) -> Any:
        """Create a publisher as rclpy does, with `qos_overrides`."""
        options = {**self._overrides(topic, "publisher"), **options}
        return super().create_publisher(msg_type, topic, *args, **options)

    def create_timer(  # type: ignore[override]  # distributions differ in the options
        self, timer_period_sec: float, callback: Callable[..., Any], *args: Any, **options: Any
    ) -> Any:
        """Create a timer as rclpy does, with a guarded callback."""
        guarded = self.callback_failures.guard(callback)
        return super().create_timer(timer_period_sec, guarded, *args, **options)

    def create_service(
        self, srv_type: Any, srv_name: str, callback: Callable[..., Any], **options: Any
    ) -> Any:
        """Create a service as rclpy does, with a guarded callback and room for many requests."""
        guarded = self.callback_failures.guard_service(callback)
        options = {"qos_profile": _SERVICES, **options}
        return super().create_service(srv_type, srv_name, guarded, **options)

    def _overrides(self, topic: str, entity: str) -> dict[str, Any]:
        """Return the option of rclpy that applies `qos_overrides` to a topic, if there are any."""
        # rclpy creates publishers of its own before anything is known to be given.
        if not self.given_parameters:
            return {}
        resolved = self.resolve_topic_name(topic)
        overrides = overriding_options(self.given_parameters, resolved, entity)
        return {} if overrides is None else {"qos_overriding_options": overrides}


class GuardedLifecycleNode(GuardedNode, LifecycleNode):
    """Guarded node with a lifecycle, whose services are guarded as well."""

    def create_lifecycle_publisher(
        self, msg_type: Any, topic: str, *args: Any, **options: Any
    ) -> Any:
        """Create a publisher that is silent while inactive, with `qos_overrides`."""
        options = {**self._overrides(topic, "publisher"), **options}
        return super().create_lifecycle_publisher(msg_type, topic, *args, **options)
