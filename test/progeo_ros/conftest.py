"""A real map, a real peer in a DDS domain of its own, and the real node in its own process."""

from __future__ import annotations

import logging
import math
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node

from progeo_core.descriptors.encoder import Encoder
from progeo_core.geo import Datum
from progeo_core.inference.loading import load_encoder
from progeo_core.localization.answer import Localization, Match
from progeo_core.map.build import build_map
from progeo_core.poses.pose_estimate import UNOBSERVED_VARIANCE, PoseEstimate
from progeo_core.records.image_source import FileSource
from progeo_core.records.records import Records, read_records
from progeo_ros.conversions import stamp_to_ns
from progeo_ros.process import dds_environment as domains
from progeo_ros.process.dds_environment import dds_environment
from progeo_ros.process.log_forwarding import RosLogHandler, stop_forwarding
from progeo_ros.replay.live_replay import values_of
from test import tf2_messages as tf2_messages_build

# Other work may slow this machine down at any time; a passing test never waits this long.
PATIENCE_S = 120.0
DATUM = Datum(-27.5, 153.0, 12.0)


class Health:
    """The newest diagnostics of the node."""

    def __init__(self, node: str = "progeo_localizer") -> None:
        self._node = node
        self.statuses: dict[str, DiagnosticStatus] = {}
        self.stamp_ns = 0

    def update(self, message: DiagnosticArray) -> None:
        self.statuses = {status.name: status for status in message.status}
        self.stamp_ns = stamp_to_ns(message.header.stamp)

    def status(self, what: str) -> DiagnosticStatus:
        """Return the status of the node, or of a camera; an empty one before the first."""
        return self.statuses.get(f"{self._node}: {what}", DiagnosticStatus())

    def values(self, what: str) -> dict[str, str]:
        return values_of(self.status(what))

    def counts(self, topic: str) -> dict[str, int]:
        """Return the counts of a camera, -1 before they are known."""
        values = self.values(f"camera {topic}")
        names = ("received", "answered", "dropped", "failed", "lost", "waiting", "publishers")
        return {name: int(values.get(name, -1)) for name in names}


class Peer:
    """A node of the test's own process, with an executor that only runs when asked."""

    def __init__(self) -> None:
        self.node = Node("test_peer")
        self.executor = SingleThreadedExecutor()
        self.executor.add_node(self.node)

    def collect(self, kind: Any, topic: str, qos: Any = 100) -> list[Any]:
        """Subscribe; the list grows as messages come."""
        messages: list[Any] = []
        self.node.create_subscription(kind, topic, messages.append, qos)
        return messages

    def wait_for(self, done: Callable[[], Any], what: str = "") -> None:
        """Handle messages until `done`."""
        deadline = time.monotonic() + PATIENCE_S
        while not done():
            assert time.monotonic() < deadline, f"waited in vain for {what or done}"
            self.executor.spin_once(timeout_sec=0.1)

    def call(self, kind: Any, service: str, request: Any = None) -> Any:
        """Call a service and return its response."""
        client: Any = self.node.create_client(kind, service)
        assert client.wait_for_service(timeout_sec=PATIENCE_S), service
        future = client.call_async(kind.Request() if request is None else request)
        self.executor.spin_until_future_complete(future, timeout_sec=PATIENCE_S)
        assert future.done(), service
        self.node.destroy_client(client)
        return future.result()

    def watch(self) -> Health:
        """Follow /diagnostics."""
        health = Health()
        self.node.create_subscription(DiagnosticArray, "/diagnostics", health.update, 10)
        return health

    def destroy(self) -> None:
        self.executor.shutdown()
        self.node.destroy_node()


@pytest.fixture(scope="session", autouse=True)
def own_domains() -> Iterator[None]:
    """Give each of pytest's worker processes domains of its own to choose from."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(domains, "_DOMAINS", domains._DOMAINS[worker::workers])
        yield


@pytest.fixture(scope="module", autouse=True)
def own_log() -> Iterator[None]:
    """Let no node that the module leaves behind take what later modules log."""
    yield
    for handler in logging.getLogger("progeo_core").handlers[:]:
        if isinstance(handler, RosLogHandler):
            stop_forwarding(handler)


@pytest.fixture(scope="module")
def dds_domain() -> Iterator[dict[str, str]]:
    """Give the module a domain that nobody else uses, with the shipped Fast DDS profile."""
    with pytest.MonkeyPatch.context() as patch:
        environment = dds_environment()
        for name, value in environment.items():
            patch.setenv(name, value)
        rclpy.init(args=[])
        yield environment
        rclpy.try_shutdown()


@pytest.fixture(scope="module")
def peer(dds_domain: dict[str, str]) -> Iterator[Peer]:
    """Talk to the node from outside."""
    del dds_domain
    created = Peer()
    yield created
    created.destroy()


@pytest.fixture(scope="session")
def encoder() -> Encoder:
    """Load the model that ships."""
    return load_encoder(device="cpu")


@pytest.fixture(scope="session")
def places(corridor: Path) -> Records:
    """Return twenty places along the corridor."""
    return read_records(corridor / "ref.csv").select(np.arange(0, 100, 5))


@pytest.fixture(scope="session")
def corridor_map(
    encoder: Encoder, places: Records, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Build a map of twenty places with a datum."""
    path = tmp_path_factory.mktemp("map") / "corridor.progeo"
    report = build_map(path, FileSource(places), encoder, datum=DATUM)
    assert report.added == 20
    return path


@pytest.fixture
def answer() -> Localization:
    """Return an accepted answer with two matches, one of them 5 m away."""
    covariance = np.diag([0.25, 0.5, 1.0, UNOBSERVED_VARIANCE, UNOBSERVED_VARIANCE, 0.1])
    covariance[0, 1] = covariance[1, 0] = 0.1
    return Localization(
        stamp_ns=1_700_000_000_123_456_789,
        camera="/camera/image_raw",
        estimate=PoseEstimate(np.array([1.0, 2.0, 3.0]), 0.5, covariance, 0.95),
        geodetic=(-27.5, 153.0, 12.0),
        accepted=True,
        state="LOCALIZED",
        reason="one place stands out: confidence 0.95",
        matches=(
            Match(7, 1 / 3, np.array([1.0, 2.0, 3.0]), 0.5, "a.jpg"),
            Match(9, 0.25, np.array([6.0, 2.0, 3.0]), math.nan, "b.jpg"),
        ),
        descriptor=np.full(4, 0.5, np.float32),
    )


@pytest.fixture(scope="session")
def tf2_messages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Provide tf2_msgs to this process and to those that it starts."""
    if tf2_messages_build.is_installed():
        yield
        return
    if not tf2_messages_build.can_build():
        pytest.skip("tf2_msgs is neither installed nor can it be built here")
    folder = tmp_path_factory.mktemp("tf2")
    tf2_messages_build.build(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        patch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)
        yield
