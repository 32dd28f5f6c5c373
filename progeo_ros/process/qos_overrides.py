"""`qos_overrides./TOPIC.subscription.POLICY` parameters, which every topic of the nodes has."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from typing import Any

from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSPolicyKind, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions

from progeo_core.errors import UsageError

PREFIX = "qos_overrides."
_NAME = re.compile(r"qos_overrides\.(?P<topic>/\S+)\.(subscription|publisher)\.(?P<policy>[a-z_]+)")
# What a policy may be; whole numbers for `depth`, nanoseconds for the times.
_WORDS = {
    "reliability": ReliabilityPolicy,
    "durability": DurabilityPolicy,
    "history": HistoryPolicy,
}
_NUMBERS = ("depth", "deadline", "lifespan", "liveliness_lease_duration")


def overriding_options(
    given: Mapping[str, Any], topic: str, entity: str
) -> QoSOverridingOptions | None:
    """Return what rclpy takes to apply the overrides of a topic; None where there are none.

    given: parameters of files and arguments. entity: subscription or publisher.
    """
    prefix = f"{PREFIX}{topic}.{entity}."
    names = [name.removeprefix(prefix) for name in given if name.startswith(prefix)]
    # Only those that were given, as rclpy fixes the others at their first values.
    kinds = [QoSPolicyKind[name.upper()] for name in names]
    return QoSOverridingOptions(kinds) if kinds else None


def check_overrides(given: Mapping[str, Any]) -> None:
    """Raise `UsageError` for the first override that has a wrong name or value."""
    for name, value in given.items():
        if name.startswith(PREFIX):
            _check(name, value)


def _check(name: str, value: Any) -> None:
    read = _NAME.fullmatch(name)
    policy = read["policy"] if read else ""
    known = (*_WORDS, *_NUMBERS)
    if policy not in known:
        close = difflib.get_close_matches(policy, known, n=1) or known
        raise UsageError(
            f"parameter '{name}': write qos_overrides./TOPIC.subscription.POLICY (or .publisher.),"
            f" with the policy {' or '.join(close)}"
        )
    if policy in _WORDS:
        words = [word.lower() for word in _WORDS[policy].__members__ if word != "UNKNOWN"]
        if value not in words:
            raise UsageError(f"parameter '{name}': must be one of {', '.join(words)}, not {value}")
    elif not isinstance(value, int) or value < 1:
        raise UsageError(f"parameter '{name}': must be a whole number of 1 or more, not {value}")
