"""A mapping node in a process of its own, killed at a random moment, and its map afterwards."""

from __future__ import annotations

import functools
import re
import shutil
import tempfile
import time
from array import array
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from nav_msgs.msg import Odometry
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.task import Future
from sensor_msgs.msg import Image
from std_srvs.srv import Trigger

from progeo_core.images.codec import read_image
from progeo_core.map.place_map import PlaceMap
from progeo_ros.conversions import quaternion_from_yaw, stamp_from_ns
from progeo_ros.process.dds_environment import dds_environment, profile_variable
from progeo_ros.process.localizer_process import LocalizerProcess
from progeo_ros.replay.live_replay import values_of
from progeo_ros.settings import NODE

CAMERA, STEP_M, PERIOD_S = "/front/image_raw", 1.1, 0.05
# The kill comes within this time (s) after the first keyframe is acknowledged.
LIFE_S, PATIENCE_S = 2.0, 120.0
START_NS, NS = 1_700_000_000_000_000_000, 1_000_000_000


def private_environment() -> dict[str, str]:
    """Return the variables for a domain of its own, with the middleware's small shared memory.

    Of that of the profile for large images, every kill would leave 70 MB behind.
    """
    environment = dds_environment()
    del environment[profile_variable()]
    return environment


class Places(NamedTuple):
    """Stamp (ns) and path length (m) of every place of a map, in order; places with features."""

    stamp_ns: list[int]
    path_length_m: list[float]
    with_features: int


class Kill(NamedTuple):
    """Counts of what the node said it had saved, and what is in the map; of this start only.

    with_features: keyframes whose local features it said were saved.
    """

    acknowledged: int
    with_features: int
    found: int
    total: int
    seconds: float


class Mapper:
    """Drive along a line with a node that maps, as one that talks to it over DDS only.

    A middleware of its own each time: nodes that were killed stay in the list of an older one.
    """

    def __init__(self, path: Path, files: Sequence[Path], first: int) -> None:
        """Take the map, pictures to send in turn, and the number of the first one."""
        self._images = [_message(file) for file in files]
        self.sent = first
        self.acknowledged = self.with_features = 0
        self._saving: Future[Any] | None = None
        self._context = Context()
        self._context.init(args=[])
        self._node = Node("driver", context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self._image = self._node.create_publisher(Image, CAMERA, 10)
        self._odom = self._node.create_publisher(Odometry, "/odom", 10)
        self._reference = self._node.create_publisher(Odometry, "/pose_reference", 10)
        self._node.create_subscription(DiagnosticArray, "/diagnostics", self._on_health, 10)
        self._save_map: Any = self._node.create_client(Trigger, f"/{NODE}/save_map")
        self._process = LocalizerProcess(
            {
                "map": path,
                "model": "progeo-tiny",
                "device": "cpu",
                "runtime": "torch",
                "cameras": [CAMERA],
                "image_reliability": "reliable",
                "mapping": True,
                "mapping_reference": "odometry_reference",
            }
        )

    def __enter__(self) -> Mapper:
        self._process.activate(self._node, self._executor)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: object, trace: TracebackType | None
    ) -> None:
        self.kill()
        self._process.__exit__()
        self._executor.shutdown()
        self._node.destroy_node()
        self._context.try_shutdown()

    def drive(self, done: Callable[[], bool], *, saving: bool = False) -> None:
        """Send pictures until `done`; saving: ask for ~/save_map again whenever it answers."""
        deadline = time.monotonic() + PATIENCE_S
        while not done():
            self._process.check_alive()
            assert time.monotonic() < deadline, "the node acknowledges nothing"
            self._send()
            if saving and self._saving is None:
                self._saving = self._save_map.call_async(Trigger.Request())
                self._saving.add_done_callback(self._on_saved)
            until = time.monotonic() + PERIOD_S
            while (left := until - time.monotonic()) > 0.0:
                self._executor.spin_once(timeout_sec=left)

    def kill(self) -> None:
        """End the process with no chance to do anything."""
        self._process.process.kill()
        self._process.process.wait()

    def _send(self) -> None:
        """Report the pose of the next step, then its picture."""
        self.sent += 1
        stamp = stamp_from_ns(stamp_of(self.sent))
        pose = Odometry(child_frame_id="base_link")
        pose.header.frame_id, pose.header.stamp = "odom", stamp
        pose.pose.pose.position.x = STEP_M * self.sent
        pose.pose.pose.orientation = quaternion_from_yaw(0.0)
        self._odom.publish(pose)
        self._reference.publish(pose)
        image = self._images[self.sent % len(self._images)]
        image.header.stamp = stamp
        self._image.publish(image)

    def _on_health(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name == f"{NODE}: drive":
                values = values_of(status)
                self.acknowledged = max(self.acknowledged, int(values["saved"]))
                self.with_features = max(self.with_features, int(values["with_features"]))

    def _on_saved(self, answered: Future[Any]) -> None:
        self._saving = None
        response = answered.result()
        if response is not None and response.success:
            (saved,) = re.findall(r"(\d+) of this drive", response.message)
            self.acknowledged = max(self.acknowledged, int(saved))


def kill_while_mapping(
    path: Path, files: Sequence[Path], rng: np.random.Generator, *, saving: bool
) -> Kill:
    """Map into a file, kill the node, and look; `AssertionError` where anything is missing.

    The file itself stays as the kill left it, for the next node to cope with.
    """
    started = time.monotonic()
    before = look(path) if path.exists() else Places([], [], 0)
    # Far from what other starts mapped.
    first = 10_000 * (1 + _number_of(before.stamp_ns[-1]) // 10_000) if before.stamp_ns else 0
    with Mapper(path, files, first) as mapper:
        mapper.drive(lambda: mapper.acknowledged > 0 and mapper.with_features > 0)
        kill_at = time.monotonic() + rng.uniform(0.0, LIFE_S)
        mapper.drive(lambda: time.monotonic() >= kill_at, saving=saving)
        mapper.kill()
        sent = set(map(stamp_of, range(first + 1, mapper.sent + 1)))
        after = look(path)
    known, new = len(before.stamp_ns), after.stamp_ns[len(before.stamp_ns) :]
    assert after.stamp_ns[:known] == before.stamp_ns
    assert after.path_length_m[:known] == before.path_length_m
    assert len(new) >= mapper.acknowledged
    assert after.with_features - before.with_features >= mapper.with_features
    assert sent.issuperset(new)
    assert new == sorted(set(new))
    seconds = time.monotonic() - started
    return Kill(mapper.acknowledged, mapper.with_features, len(new), len(after.stamp_ns), seconds)


def look(path: Path) -> Places:
    """Verify a copy of a map, as reading the map itself would tidy up after the kill."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, path.name)
        for name in (path.name, f"{path.name}-wal"):
            if path.with_name(name).exists():
                shutil.copy(path.with_name(name), copy.with_name(name))
        with PlaceMap.open(copy, writable=True) as place_map:
            place_map.verify()
            table = place_map.places()
            assert all(place_map.thumbnail(place_id) for place_id in table.ids)
            numbers = np.array([_number_of(stamp) for stamp in table.stamp_ns.tolist()])
            # The pose of every place is that of its picture.
            np.testing.assert_allclose(table.position[:, 0], STEP_M * numbers, atol=1e-6)
            with_features = place_map.view_counts().places
            return Places(table.stamp_ns.tolist(), table.position[:, 0].tolist(), with_features)


def stamp_of(number: int) -> int:
    """Return the stamp (ns) of a picture."""
    return START_NS + number * NS // 10


def _number_of(stamp_ns: int) -> int:
    return round((stamp_ns - START_NS) / (NS // 10))


@functools.cache
def _message(file: Path) -> Image:
    pixels = read_image(file)
    height, width, _ = pixels.shape
    message = Image(height=height, width=width, encoding="rgb8", step=3 * width)
    message.data = array("B", pixels.tobytes())
    return message
