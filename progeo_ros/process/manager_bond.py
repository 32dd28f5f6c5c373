"""Bond with Nav2's lifecycle manager, which notices by it that a node has died."""

from __future__ import annotations

from typing import Any

from rclpy.node import Node

try:
    from bondpy.bondpy import Bond
except ImportError:  # PyPI has none.
    Bond = None

# As Nav2's own nodes have it: topic, and the times (s) of heartbeats.
_TOPIC, _PERIOD_S, _TIMEOUT_S = "bond", 0.1, 4.0


class ManagerBond:
    """Heartbeat of a node while it is active; nothing without bondpy.

    A manager forms the other half, if there is one and its `bond_timeout` is not 0.
    """

    def __init__(self, node: Node) -> None:
        """Take the node, by whose name the manager knows it."""
        self._node = node
        self._bond: Any = None

    def start(self) -> None:
        """Let the manager find the node alive, from now on."""
        if Bond is None or self._bond is not None:
            return
        self._bond = Bond(self._node, _TOPIC, self._node.get_name())
        self._bond.heartbeat_period, self._bond.heartbeat_timeout = _PERIOD_S, _TIMEOUT_S
        self._bond.start()

    def stop(self) -> None:
        """Break the bond, as the node ends its work by itself."""
        if self._bond is not None:
            self._bond.shutdown()
        self._bond = None
