"""The bond of an active node, with a stand-in that has the names of bondpy 4."""

from __future__ import annotations

from typing import Any

import pytest

from progeo_ros.process import manager_bond
from progeo_ros.process.manager_bond import ManagerBond


class StandIn:
    """What bondpy's Bond is asked for."""

    made: list[StandIn]

    def __init__(self, node: Any, topic: str, bond_id: str) -> None:
        self.topic, self.id, self.steps = topic, bond_id, list[str]()
        self.heartbeat_period = self.heartbeat_timeout = 0.0
        StandIn.made.append(self)

    def start(self) -> None:
        # Later they may not be set.
        assert (self.heartbeat_period, self.heartbeat_timeout) == (0.1, 4.0)
        self.steps.append("start")

    def shutdown(self) -> None:
        self.steps.append("shutdown")


def test_a_bond_lasts_as_long_as_the_node_is_active(peer, monkeypatch: pytest.MonkeyPatch) -> None:
    StandIn.made = []
    monkeypatch.setattr(manager_bond, "Bond", StandIn)
    bond = ManagerBond(peer.node)
    bond.stop()
    for _ in range(2):
        bond.start()
        bond.start()
        bond.stop()
    assert [(one.topic, one.id) for one in StandIn.made] == [("bond", "test_peer")] * 2
    assert [one.steps for one in StandIn.made] == [["start", "shutdown"]] * 2


def test_nothing_happens_without_bondpy(peer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manager_bond, "Bond", None)
    bond = ManagerBond(peer.node)
    bond.start()
    bond.stop()
    assert not peer.node.count_publishers("bond")
