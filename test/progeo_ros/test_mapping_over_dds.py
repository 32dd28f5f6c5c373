"""A robot maps a corridor and closes loops in it, through the real node in its own process."""

import resource
import signal
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from nav_msgs.msg import Odometry
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter
from sensor_msgs.msg import Image
from std_srvs.srv import SetBool, Trigger
from visualization_msgs.msg import MarkerArray

from progeo_core.images.codec import read_image
from progeo_core.map.place_map import PlaceMap
from progeo_core.records.records import Records, read_records
from progeo_ros.conversions import quaternion_from_yaw, stamp_from_ns, stamp_to_ns
from progeo_ros.localizer_node import LocalizerNode
from progeo_ros.outputs.loop_messages import keyframe_stamp
from progeo_ros.process.localizer_process import LocalizerProcess

pytestmark = pytest.mark.slow  # every test waits for a process that loads a network

NODE = "/progeo_localizer"
FIRST, SECOND = 40, 26
# Where in the corridor the drive begins.
START = 40


class Robot:
    """Drive: odometry and a camera, one image per metre, each acknowledged by the map's file."""

    def __init__(self, peer, path: Path) -> None:
        self._peer, self._path = peer, path
        self._image = peer.node.create_publisher(Image, "/front/image_raw", 10)
        self._odom = peer.node.create_publisher(Odometry, "/odom", 10)
        peer.wait_for(self._image.get_subscription_count, "the node's camera")
        peer.wait_for(self._odom.get_subscription_count, "the node's odometry")
        self.stamp_ns = 1_700_000_000_000_000_000
        self.sent: dict[int, float] = {}

    def places(self) -> int:
        if not self._path.exists():
            return 0
        with PlaceMap.open(self._path) as reader:
            return len(reader)

    def stamps(self) -> set[int]:
        """Return the times (ns) of the places."""
        if not self._path.exists():
            return set()
        with PlaceMap.open(self._path) as reader:
            return set(reader.places().stamp_ns.tolist())

    def move(self, x: float, y: float = 0.0, yaw: float = 0.0) -> None:
        """Report a pose half a second later."""
        self.stamp_ns += 500_000_000
        message = Odometry()
        message.header.stamp = stamp_from_ns(self.stamp_ns)
        message.header.frame_id, message.child_frame_id = "odom", "base_footprint"
        message.pose.pose.position.x, message.pose.pose.position.y = x, y
        message.pose.pose.orientation = quaternion_from_yaw(yaw)
        self._odom.publish(message)

    def look(self, file: Path, x: float) -> None:
        """Send an image from here."""
        pixels = read_image(file)
        height, width, _ = pixels.shape
        message = Image(height=height, width=width, encoding="rgb8", step=3 * width)
        message.data = array("B", pixels.tobytes())
        message.header.stamp = stamp_from_ns(self.stamp_ns)
        self.sent[self.stamp_ns] = x
        self._image.publish(message)

    def map_here(self, file: Path, x: float, y: float = 0.0, yaw: float = 0.0) -> None:
        """Send an image and wait until it is in the map; again, if the odometry came too late."""
        tried = set()
        for _ in range(20):
            self.move(x, y, yaw)
            self.look(file, x)
            tried.add(self.stamp_ns)
            for _ in range(40):
                self._peer.executor.spin_once(timeout_sec=0.05)
                if tried & self.stamps():
                    return
        raise AssertionError(f"{file} never came into the map")


def mapping_parameters(path: Path) -> dict[str, Any]:
    """Return the parameters of a node that maps and closes loops."""
    return {
        "map": path,
        "device": "cpu",
        "runtime": "torch",
        "cameras": ["/front/image_raw"],
        "image_reliability": "reliable",
        "mapping": True,
        "close_loops": True,
    }


@pytest.fixture(scope="module")
def first(corridor: Path) -> Records:
    return read_records(corridor / "ref.csv").select(np.arange(START, 111))


@pytest.fixture(scope="module")
def second(corridor: Path) -> Records:
    return read_records(corridor / "query.csv").select(np.arange(START, 111))


@pytest.fixture(scope="module")
def path(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("robot") / "site.progeo"


@pytest.fixture(scope="module")
def process(dds_domain, path: Path) -> Iterator[LocalizerProcess]:
    """Start the node without any map."""
    del dds_domain
    with LocalizerProcess(mapping_parameters(path)) as started:
        yield started


@pytest.fixture(scope="module")
def health(peer):
    return peer.watch()


@pytest.fixture(scope="module")
def robot(peer, process: LocalizerProcess, path: Path) -> Robot:
    process.activate(peer.node, peer.executor)
    return Robot(peer, path)


def set_mapping(peer, on: bool):
    return peer.call(SetBool, f"{NODE}/set_mapping", SetBool.Request(data=on))


def test_a_second_pass_closes_loops_with_the_first(
    peer, health, robot: Robot, first: Records, second: Records
) -> None:
    closures = peer.collect(Odometry, f"{NODE}/loop_closure")
    markers = peer.collect(MarkerArray, f"{NODE}/loop_markers")
    for metre in range(FIRST):
        robot.map_here(first.images[metre], float(metre))
    assert robot.places() == FIRST
    # Back to the start, looking the other way; odometry ends 1 m off.
    for metre in range(FIRST, -1, -1):
        robot.move(float(metre), 1.0)
    for metre in range(SECOND):
        robot.map_here(second.images[metre], float(metre), 1.0)
    peer.wait_for(lambda: len(closures) >= 0.8 * SECOND, "loop closures")
    for message in closures:
        query, match = stamp_to_ns(message.header.stamp), keyframe_stamp(message.header.frame_id)
        assert abs(robot.sent[query] - robot.sent[match]) <= 3.0
        assert query > match
        assert message.child_frame_id == "base_footprint"
        x, y, yaw = np.sqrt(np.array(message.pose.covariance)[[0, 7, 35]])
        assert 0.1 < x < 5.0
        assert 0.1 < y < 5.0
        assert 0.1 < yaw < 1.0
        assert np.diag(np.array(message.pose.covariance).reshape(6, 6))[2] == 1e6
    peer.wait_for(lambda: markers and len(markers[-1].markers[0].points) == 2 * len(closures))
    assert markers[-1].markers[0].header.frame_id == "odom"
    peer.wait_for(lambda: int(health.values("drive").get("closures", 0)) == len(closures))
    mapped = str(FIRST + SECOND)
    peer.wait_for(lambda: health.values("drive")["saved"] == mapped, "the last keyframe")
    assert health.values("drive")["keyframes"] == mapped
    assert float(health.values("drive")["latency_p95_ms"]) > 0.0


def test_the_map_is_saved_on_request(peer, robot: Robot, path: Path) -> None:
    response = peer.call(Trigger, f"{NODE}/save_map")
    assert response.success
    assert f"{robot.places()} places" in response.message
    assert path.with_suffix(".faiss").exists()


def test_another_node_may_not_map_into_the_same_file(
    process: LocalizerProcess, robot: Robot, path: Path
) -> None:
    del robot
    given = {"map": str(path), "device": "cpu", "runtime": "torch", "mapping": True}
    node = LocalizerNode(parameter_overrides=[Parameter(k, value=v) for k, v in given.items()])
    try:
        assert node.trigger_configure() == TransitionCallbackReturn.FAILURE
        fault = node._health(node._pipeline).fault
        assert f"process {process.process.pid} is writing this map" in fault
    finally:
        node.destroy_node()


def test_a_full_disk_pauses_mapping_and_is_told(
    peer, health, process: LocalizerProcess, robot: Robot, second: Records
) -> None:
    pid = process.process.pid
    before = robot.places()
    unlimited = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (10_000, unlimited[1]))
    answered = health.counts("/front/image_raw")["answered"]

    def paused() -> bool:
        robot.move(float(SECOND) + 1.0 + robot.stamp_ns % 7, 1.0)
        robot.look(second.images[SECOND + 1], 0.0)
        return bool(health.status("drive").level == DiagnosticStatus.ERROR)

    peer.wait_for(paused, "the fault in diagnostics")
    assert "localizing goes on" in health.status("drive").message
    peer.wait_for(lambda: health.counts("/front/image_raw")["answered"] > answered)
    assert robot.places() == before
    resource.prlimit(pid, resource.RLIMIT_FSIZE, unlimited)
    metre = SECOND + 2

    def mapping_again() -> bool:
        nonlocal metre
        metre += 1
        robot.move(float(metre), 1.0)
        robot.look(second.images[metre % 4], float(metre))
        peer.executor.spin_once(timeout_sec=0.2)
        return robot.places() > before

    peer.wait_for(mapping_again, "mapping to go on")
    peer.wait_for(lambda: health.status("drive").level == DiagnosticStatus.OK, "the all-clear")


def test_what_was_mapped_is_localized_in_and_mapped_on(
    peer, health, process: LocalizerProcess, robot: Robot, first: Records
) -> None:
    statuses = peer.collect(DiagnosticArray, f"{NODE}/status")
    response = set_mapping(peer, False)
    assert response.success, response.message
    assert f"{robot.places()} places, in use from now on" in response.message
    peer.wait_for(lambda: health.values("node")["places"] == str(robot.places()))

    def localized() -> bool:
        robot.move(10.0)
        robot.look(first.images[10], 10.0)
        peer.executor.spin_once(timeout_sec=0.5)
        return any(one.status[0].message.startswith("LOCALIZED") for one in statuses)

    peer.wait_for(localized, "an answer from the new map")
    pid = process.process.pid
    unlimited = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, unlimited[1]))
    # The map opens, though not a byte can be written, and waits for room.
    begun = set_mapping(peer, True)
    assert begun.success, begun.message
    statuses.clear()
    peer.wait_for(localized, "an answer on a full disk")
    resource.prlimit(pid, resource.RLIMIT_FSIZE, unlimited)
    assert "mapping" in set_mapping(peer, True).message
    before = robot.places()
    for metre in range(10, 16):
        robot.move(float(metre))
        robot.look(first.images[metre], float(metre))
        peer.executor.spin_once(timeout_sec=0.2)
    robot.map_here(first.images[16], 16.0)
    assert robot.places() > before


def test_poses_that_are_no_numbers_and_time_going_back_end_nothing(
    peer, health, process: LocalizerProcess, robot: Robot, path: Path, first: Records
) -> None:
    def dropped() -> bool:
        robot.move(float("nan"))
        robot.look(first.images[20], 20.0)
        return int(health.values("node")["odometry_dropped"]) >= 3

    peer.wait_for(dropped, "the count of bad poses")
    answered = health.counts("/front/image_raw")["answered"]
    robot.stamp_ns -= 3600 * 10**9
    for metre in range(20, 24):
        robot.map_here(first.images[metre], float(metre))
    peer.wait_for(lambda: health.counts("/front/image_raw")["answered"] >= answered + 4)
    assert process.process.poll() is None
    with PlaceMap.open(path) as reader:
        places = reader.places()
    fresh = places.position[places.stamp_ns <= robot.stamp_ns]
    assert len(fresh) >= 4
    # The loaded map said where the new time began.
    assert np.abs(fresh[:, 0] - np.linspace(20, 23, len(fresh))).max() < 3.0


def test_kill_9_loses_no_keyframe_and_the_map_opens(
    process: LocalizerProcess, robot: Robot, path: Path
) -> None:
    acknowledged = robot.places()
    process.process.send_signal(signal.SIGKILL)
    process.process.wait()
    with PlaceMap.open(path, writable=True) as place_map:
        place_map.verify()
        assert len(place_map) >= acknowledged > FIRST + SECOND
