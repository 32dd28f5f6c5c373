"""Latency of images while the region of a fleet's map is exchanged: `python -m … [TURNS]`.

One node over DDS gets 10 images a second, in turns of 30 s: with fixes that stay, and with fixes
that call for another region of 5,000 places every 10 s. Each turn prints its answers and latencies.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from array import array
from collections import Counter
from pathlib import Path

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image, NavSatFix, NavSatStatus

from progeo_core.fleet.lance_store import open_fleet
from progeo_core.fleet.store import FleetSession, fleet_places
from progeo_core.geo import Datum, wgs84_from_enu
from progeo_core.images.codec import read_image
from progeo_core.inference.feature_extractor import shared_extractor
from progeo_core.inference.loading import load_encoder
from progeo_core.map.build import build_map
from progeo_core.map.merge import read_places
from progeo_core.map.place_features import PLACE_FEATURES
from progeo_core.map.place_map import PlaceMap
from progeo_core.records.image_source import FileSource
from progeo_core.records.records import read_records
from progeo_core.verification.view_finder import DepthViewFinder
from progeo_ros.conversions import stamp_from_ns
from progeo_ros.process.dds_environment import dds_environment
from progeo_ros.process.localizer_process import LocalizerProcess
from progeo_ros.replay.live_replay import values_of
from progeo_ros.settings import NODE
from test.benchmarks.clustered_map import Clusters

DATUM = Datum(48.1, 11.5, 500.0)
PLACES, RADIUS_M, JUMP_M = 12_000, 2_500.0, 2_000.0
RATE_HZ, TURN_S, EXCHANGE_S = 10, 30, 10
COUNTS = ("received", "answered", "dropped", "failed", "lost")
TOPIC = "/camera/image_raw"
CORRIDOR = Path(__file__).resolve().parents[2] / "progeo_core" / "demo_data" / "corridor"


def make_store(folder: Path, uri: str) -> None:
    """Write places each metre on a line, which look like those of a route, with all of a map."""
    encoder = load_encoder(device="cpu")
    records = read_records(CORRIDOR / "ref.csv")
    finder = DepthViewFinder(shared_extractor("cpu"), PLACE_FEATURES)
    build_map(folder / "corridor.progeo", FileSource(records), encoder, structure=finder)
    store = open_fleet(uri, encoder.fingerprint)
    session = FleetSession("ada", "line", "0" * 16, DATUM, finder.note)
    clusters = Clusters.draw(PLACES, encoder.fingerprint.dimension)
    names: Counter[str] = Counter()
    with PlaceMap.open(folder / "corridor.progeo") as place_map:
        table = place_map.places()
        for start in range(0, PLACES, 1000):
            rows = np.arange(start, start + 1000)
            places = read_places(place_map, table, table.ids[rows % len(table.ids)])
            places = places._replace(
                position=np.stack([rows, 0 * rows, 0 * rows], axis=-1).astype(np.float64),
                stamp_ns=rows,
                image=[f"{row}.jpg" for row in rows],
            )
            descriptors = clusters.around(rows // 10).astype(np.float16)
            store.append(session, fleet_places(session, places, descriptors, names))
    store.compact()


class Robot:
    """A camera and a receiver of fixes, and what the node says of each image."""

    def __init__(self) -> None:
        """Create publishers and subscriptions."""
        self.node = Node("benchmark_robot")
        self.executor = SingleThreadedExecutor()
        self.executor.add_node(self.node)
        self._camera = self.node.create_publisher(Image, TOPIC, 10)
        self._fixes = self.node.create_publisher(
            NavSatFix, "fix_reference", qos_profile_sensor_data
        )
        self.node.create_subscription(DiagnosticArray, f"/{NODE}/status", self._on_status, 100)
        self.node.create_subscription(DiagnosticArray, "/diagnostics", self._on_health, 10)
        pictures = map(read_image, read_records(CORRIDOR / "ref.csv").images)
        self._messages = [_message(picture) for picture in pictures]
        self.latency_ms: list[float] = []
        self.health: dict[str, dict[str, str]] = {}
        self.sent, self.x_m = 0, 2_000.0

    def turn(self, jumps: bool) -> None:
        """Send images for a while and print what became of them."""
        self.latency_ms.clear()
        before, first = self._counts(), self.sent
        start = time.monotonic()
        for number in range(TURN_S * RATE_HZ):
            if jumps and number % (EXCHANGE_S * RATE_HZ) == RATE_HZ:
                self.x_m = 2_000.0 + (self.x_m - 2_000.0 + JUMP_M) % 8_000.0
            if number % RATE_HZ == 0:
                self.send_fix()
            self._send_image()
            self._spin_until(start + (number + 1) / RATE_HZ)
        self._spin_until(time.monotonic() + 3.0)
        after = self._counts()
        changes = {name: after[name] - before[name] for name in after}
        p50, p95 = np.percentile(self.latency_ms, [50, 95])
        kind = "exchanged every 10 s" if jumps else "same region"
        print(
            f"{kind}: {self.sent - first} sent, {len(self.latency_ms)} answers, {changes},"
            f" latency p50 {p50:.1f}, p95 {p95:.1f}, max {max(self.latency_ms):.1f} ms",
            flush=True,
        )

    def wait_for_region(self) -> None:
        """Send fixes and images until the first region is in use."""
        while self._counts()["regions"] < 1 or not self.latency_ms:
            self.send_fix()
            self._send_image()
            self._spin_until(time.monotonic() + 1.0)

    def send_fix(self) -> None:
        """Say where the robot is."""
        lat, lon, alt = wgs84_from_enu([[self.x_m, 0.0, 0.0]], DATUM)[0]
        message = NavSatFix(latitude=lat, longitude=lon, altitude=alt)
        message.status.status = NavSatStatus.STATUS_FIX
        message.header.stamp = stamp_from_ns(time.time_ns())
        self._fixes.publish(message)

    def _send_image(self) -> None:
        message = self._messages[self.sent % len(self._messages)]
        message.header.stamp = stamp_from_ns(time.time_ns())
        self._camera.publish(message)
        self.sent += 1

    def _spin_until(self, deadline: float) -> None:
        while (left_s := deadline - time.monotonic()) > 0.0:
            self.executor.spin_once(timeout_sec=left_s)

    def _counts(self) -> dict[str, int]:
        camera = self.health.get(f"{NODE}: camera {TOPIC}", {})
        fleet = self.health.get(f"{NODE}: fleet", {})
        counts = {name: int(camera.get(name, 0)) for name in COUNTS}
        return counts | {"regions": int(fleet.get("regions", 0))}

    def _on_status(self, message: DiagnosticArray) -> None:
        self.latency_ms.append(float(values_of(message.status[0])["latency_ms"]))

    def _on_health(self, message: DiagnosticArray) -> None:
        self.health = {status.name: values_of(status) for status in message.status}


def _message(picture: np.ndarray) -> Image:
    height, width, _ = picture.shape
    message = Image(height=height, width=width, encoding="rgb8", step=3 * width)
    message.data = array("B", picture.tobytes())
    return message


def main(turns: int) -> None:
    """Run turns of both kinds after each other."""
    os.environ.update(dds_environment())
    rclpy.init(args=[])
    with tempfile.TemporaryDirectory() as folder:
        uri = f"{folder}/store"
        make_store(Path(folder), uri)
        parameters = {
            "fleet_uri": uri,
            "fleet.radius_m": RADIUS_M,
            "fleet.cache_folder": f"{folder}/cache",
            "cameras": [TOPIC],
            "device": "cpu",
        }
        robot = Robot()
        with LocalizerProcess(parameters) as started:
            started.activate(robot.node, robot.executor)
            robot.wait_for_region()
            for _ in range(turns):
                for jumps in (False, True):
                    robot.turn(jumps)
    rclpy.try_shutdown()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2)
