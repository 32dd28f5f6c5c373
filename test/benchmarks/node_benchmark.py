"""One image through the real node over DDS: from its arrival to its pose, without the encoder.

The node runs in a process of its own and gets images of 640 × 480, each after the last one's
answer. Plain does the same steps in the usual way and without any transport: it copies the message,
converts it, and searches a flat float32 FAISS index. Idle CPU is of one core while no image comes.
"""

from __future__ import annotations

import os
import time
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import faiss
import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CompressedImage, Image

from progeo_core.images.codec import encode_jpeg
from progeo_core.map.place_index import PlaceIndex
from progeo_core.map.place_map import PlaceMap
from progeo_core.model.backbone import NO_WEIGHTS
from progeo_core.model.built_in import DEFAULT_MODEL
from progeo_core.model.model_folder import save_model
from progeo_core.model.named_model import load_named_model
from progeo_ros.conversions import stamp_from_ns
from progeo_ros.process.dds_environment import dds_environment
from progeo_ros.process.localizer_process import LocalizerProcess
from progeo_ros.replay.live_replay import values_of
from progeo_ros.settings import NODE
from test.benchmarks.clustered_map import clustered_map
from test.benchmarks.image_path_benchmark import HEIGHT, WIDTH, camera_image
from test.benchmarks.row import Row, milliseconds

CASES = (
    (DEFAULT_MODEL, 100_000, "raw"),
    (DEFAULT_MODEL, 100_000, "compressed"),
    ("CLIP-RN50:none", 1_000, "raw"),
    ("CLIP-ViT-B-16:none", 1_000, "raw"),
)
TOPIC = "/camera/image_raw"
WARM_UP, TIMED, NEIGHBOURS = 5, 60, 50
IDLE_S = 10.0
_PATIENCE_S = 120.0


class Camera:
    """Send one image after another to the node, and read what it says of each."""

    def __init__(self, transport: str) -> None:
        """Create the publisher and the reader of answers."""
        self.node = Node("benchmark_camera")
        self.executor = SingleThreadedExecutor()
        self.executor.add_node(self.node)
        self._answers: dict[int, dict[str, str]] = {}
        topic, kind = TOPIC, Image
        if transport != "raw":
            topic, kind = f"{TOPIC}/{transport}", CompressedImage
        self._publisher = self.node.create_publisher(kind, topic, qos_profile_sensor_data)
        self.node.create_subscription(DiagnosticArray, f"/{NODE}/status", self._on_status, 100)
        self._message = _message(transport)
        self._stamp_ns = 10**18

    def close(self) -> None:
        """Leave the domain."""
        self.executor.shutdown()
        self.node.destroy_node()

    def ask(self) -> float:
        """Send an image; return the node's time for it (ms) less that of the encoder."""
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            self._stamp_ns += 10**8
            self._message.header.stamp = stamp_from_ns(self._stamp_ns)
            self._publisher.publish(self._message)
            # Images sent before discovery is done are lost, others while the network is waited for.
            self._spin_until(time.monotonic() + 10.0)
            if self._stamp_ns in self._answers:
                values = self._answers.pop(self._stamp_ns)
                return float(values["latency_ms"]) - float(values["encode_ms"])
            assert time.monotonic() < deadline, "the node does not answer"

    def _spin_until(self, deadline: float) -> None:
        while self._stamp_ns not in self._answers and time.monotonic() < deadline:
            self.executor.spin_once(timeout_sec=0.1)

    def _on_status(self, message: DiagnosticArray) -> None:
        stamp = message.header.stamp
        self._answers[stamp.sec * 10**9 + stamp.nanosec] = values_of(message.status[0])


class Measured(NamedTuple):
    """Hold what one node took: times per image (ms), idle CPU (% of a core), memory (MB)."""

    times_ms: list[float]
    idle_percent: float
    resident_mb: float


def rows(folder: Path) -> Iterator[Row]:
    """Yield one row per model and transport."""
    os.environ.update(dds_environment())
    rclpy.init(args=[])
    try:
        for name, places, transport in CASES:
            yield _row(folder, name, places, transport)
    finally:
        rclpy.try_shutdown()


def _row(folder: Path, name: str, places: int, transport: str) -> Row:
    model = _model(folder, name)
    path, clusters = clustered_map(folder, places, load_named_model(model).card.fingerprint)
    plain = _measure_plain(path, clusters.queries(1), transport)
    measured = _measure(path, model, transport)
    also = {
        "p95 ms": float(np.percentile(measured.times_ms, 95)),
        "plain p95 ms": float(np.percentile(plain, 95)),
        "idle CPU %": measured.idle_percent,
        "resident MB": measured.resident_mb,
    }
    case = f"{name.partition(':')[0]}, {places:,} places, {transport}"
    ours = float(np.median(measured.times_ms))
    return Row(case, "ms", ours, float(np.median(plain)), also=also)


def _model(folder: Path, name: str) -> str:
    """Return what the node is to load: random weights have to be the map's."""
    if not name.endswith(f":{NO_WEIGHTS}"):
        return name
    saved = folder / f"node-{name.partition(':')[0]}"
    if not saved.exists():
        card, network, _ = load_named_model(name)
        save_model(saved, card, network.state_dict())
    return str(saved)


def _measure_plain(path: Path, query: np.ndarray, transport: str) -> list[float]:
    flat = faiss.IndexFlatL2(query.shape[1])
    with PlaceMap.open(path) as place_map:
        PlaceIndex.open(place_map)
        for _, descriptors in place_map.descriptor_blocks(16_384):
            flat.add(descriptors.astype(np.float32))
    message = _message(transport)
    (durations,) = milliseconds(lambda: _plain(flat, query, message, transport), repeats=TIMED)
    return durations


def _measure(path: Path, model: str, transport: str) -> Measured:
    parameters = {
        "map": path,
        "model": model,
        "device": "cpu",
        "cameras": [TOPIC],
        "image_transport": transport,
        # Every answer is published, whatever it is worth.
        "localizer.min_confidence": 0.0,
    }
    camera = Camera(transport)
    try:
        with LocalizerProcess(parameters) as started:
            started.activate(camera.node, camera.executor)
            times = [camera.ask() for _ in range(WARM_UP + TIMED)][WARM_UP:]
            process = Path("/proc", str(started.process.pid))
            before = _cpu_seconds(process)
            time.sleep(IDLE_S)
            idle = (_cpu_seconds(process) - before) / IDLE_S * 100
            return Measured(times, idle, _resident_mb(process))
    finally:
        camera.close()


def _plain(
    flat: faiss.Index, query: np.ndarray, message: Image | CompressedImage, transport: str
) -> None:
    """Do what a usual node does beside running its network."""
    data = np.frombuffer(bytes(message.data), np.uint8)
    if transport == "raw":
        bgr = np.array(data.reshape(HEIGHT, WIDTH, 3))
    else:
        bgr = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))
    cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
    flat.search(query, NEIGHBOURS)


def _message(transport: str) -> Image | CompressedImage:
    picture = camera_image()
    if transport == "raw":
        message = Image(height=HEIGHT, width=WIDTH, encoding="bgr8", step=3 * WIDTH)
        message.data = array("B", np.ascontiguousarray(picture[:, :, ::-1]).tobytes())
        return message
    return CompressedImage(format="jpeg", data=array("B", encode_jpeg(picture)))


def _cpu_seconds(process: Path) -> float:
    fields = (process / "stat").read_text("utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _resident_mb(process: Path) -> float:
    lines = (process / "status").read_text("utf-8").splitlines()
    (kilobytes,) = (int(line.split()[1]) for line in lines if line.startswith("VmRSS"))
    return kilobytes / 1e3
