"""A robot of a fleet over DDS: the node in its own process, with a real store in a folder."""

import resource
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseWithCovarianceStamped
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import NavSatFix, NavSatStatus
from std_srvs.srv import SetBool, Trigger

from progeo_core.fleet.lance_store import open_fleet
from progeo_core.fleet.push import push_map, session_of_map
from progeo_core.geo import Datum, wgs84_from_enu
from progeo_core.map.build import build_map
from progeo_core.map.place_map import PlaceMap
from progeo_core.records.image_source import FileSource
from progeo_core.records.records import Records, read_records
from progeo_ros.conversions import stamp_from_ns
from progeo_ros.process.localizer_process import LocalizerProcess
from test.progeo_ros.conftest import DATUM, Health
from test.progeo_ros.test_localizer_over_dds import NODE, Camera

pytest.importorskip("lancedb", reason="a fleet's store is the extra fleet")
pytestmark = pytest.mark.slow  # every test waits for a process that loads a network

TOPIC = "/front/image_raw"
# Places of the corridor are 1 m apart.
PLACES, RADIUS_M = 50, 30.0
CAMPUS_DATUM = Datum(-27.4, 153.0, 12.0)


@pytest.fixture(scope="module")
def corridor_images(corridor: Path) -> list[Path]:
    return list(read_records(corridor / "ref.csv").images[:PLACES])


@pytest.fixture(scope="module")
def campus(campus_loop: Path) -> Records:
    """Return twelve places, a town away from the corridor."""
    return read_records(campus_loop / "records.csv").select(np.arange(0, 48, 4))


@pytest.fixture(scope="module")
def uri(encoder, corridor: Path, campus: Records, tmp_path_factory) -> Path:
    """Return a store with a corridor and a campus."""
    folder = tmp_path_factory.mktemp("fleet")
    store = None
    for name, records, datum in (
        ("corridor", read_records(corridor / "ref.csv").select(np.arange(PLACES)), DATUM),
        ("campus", campus, CAMPUS_DATUM),
    ):
        path = folder / f"{name}.progeo"
        build_map(path, FileSource(records), encoder, datum=datum)
        with PlaceMap.open(path) as place_map:
            store = store or open_fleet(str(folder / "store"), place_map.fingerprint)
            push_map(place_map, store, session_of_map(place_map, "ada"))
    return folder / "store"


@pytest.fixture(scope="module")
def health(peer):
    return peer.watch()


@pytest.fixture(scope="module")
def parameters(uri: Path, tmp_path_factory) -> dict[str, object]:
    folder = tmp_path_factory.mktemp("robot")
    return {
        "fleet_uri": str(uri),
        "fleet.robot": "bob",
        "fleet.near": f"{DATUM.lat_deg},{DATUM.lon_deg}",
        "fleet.radius_m": RADIUS_M,
        "fleet.cache_folder": str(folder / "cache"),
        "map": str(folder / "own.progeo"),
        "mapping_reference": "fix",
        "keyframes.features": 0,
        "device": "cpu",
        "cameras": [TOPIC],
        "localizer.verification_ms": 0,
    }


@pytest.fixture(scope="module")
def active(peer, parameters) -> Iterator[LocalizerProcess]:
    with LocalizerProcess(parameters) as process:
        process.activate(peer.node, peer.executor)
        yield process


@pytest.fixture(scope="module")
def camera(peer, health, active, corridor_images) -> Camera:
    del active
    peer.wait_for(lambda: fleet(health).get("regions") == "1", "the first region")
    return Camera(peer, health, TOPIC, corridor_images[0])


@pytest.fixture(scope="module")
def fixes(peer, active):
    del active
    return receiver(peer, "fix_reference")


def receiver(peer, topic: str):
    publisher = peer.node.create_publisher(NavSatFix, topic, qos_profile_sensor_data)
    peer.wait_for(publisher.get_subscription_count, "the node to hear fixes")
    return publisher


def fleet(health) -> dict[str, str]:
    return health.values("fleet")


def diagnostics(peer, namespace: str) -> Health:
    health = Health(f"{namespace[1:]}{NODE}")
    topic = f"{namespace}/diagnostics"
    peer.node.create_subscription(DiagnosticArray, topic, health.update, 10)
    peer.wait_for(lambda: fleet(health), "the first diagnostics")
    return health


def fix_at(x_m: float, stamp_ns: int) -> NavSatFix:
    lat, lon, alt = wgs84_from_enu([[x_m, 0.0, 0.0]], DATUM)[0]
    message = NavSatFix(latitude=lat, longitude=lon, altitude=alt)
    message.status.status = NavSatStatus.STATUS_FIX
    message.header.stamp = stamp_from_ns(stamp_ns)
    return message


def store_process(node: int) -> int:
    """Return the id of the process that asks the store for a node."""
    for one in Path(f"/proc/{node}/task").glob("*/children"):
        for child in map(int, one.read_text().split()):
            if b"progeo_core.fleet.worker" in Path(f"/proc/{child}/cmdline").read_bytes():
                return child
    raise AssertionError(f"process {node} has none")


class Robot:
    """A robot that sends one image at a time, with fixes where it has a receiver."""

    def __init__(self, peer, camera: Camera, images: list[Path], fixes, node: str = NODE) -> None:
        self._peer, self._camera, self._images, self._fixes = peer, camera, images, fixes
        self._answers = peer.collect(DiagnosticArray, f"{node}/status")
        self.poses = peer.collect(PoseWithCovarianceStamped, f"{node}/pose")

    def show(self, image: Path, x_m: float | None = None) -> None:
        """Send an image, with a fix at metres of the corridor, and wait for its answer."""
        before = len(self._answers)
        stamp_ns = self._camera.send(image)
        if x_m is not None:
            self._fixes.publish(fix_at(x_m, stamp_ns))
        self._peer.wait_for(lambda: len(self._answers) > before, "an answer")

    def drive(self, numbers: range, fixed: bool = True) -> None:
        """Pass places of the corridor."""
        for number in numbers:
            self.show(self._images[number], float(number) if fixed else None)


@pytest.fixture(scope="module")
def robot(peer, camera, corridor_images, fixes) -> Robot:
    return Robot(peer, camera, corridor_images, fixes)


def test_a_robot_that_knows_only_the_store_is_localized(robot, peer):
    robot.drive(range(1, 12, 2), fixed=False)
    peer.wait_for(lambda: robot.poses, "a pose")
    assert 0.0 < robot.poses[-1].pose.pose.position.x < 13.0


def test_the_region_is_exchanged_while_the_robot_drives(robot, peer, health):
    places, failures = int(fleet(health)["cached_places"]), fleet(health)["pull_failures"]
    robot.drive(range(13, 20, 2))
    peer.wait_for(lambda: fleet(health)["regions"] == "2", "the next region")
    assert int(fleet(health)["cached_places"]) > places
    before = len(robot.poses)
    robot.drive(range(21, 26, 2))
    peer.wait_for(lambda: len(robot.poses) >= before + 3, "poses in the next region")
    at = [pose.pose.pose.position.x for pose in robot.poses[before:]]
    # In the same frame, and at once: what is known of the robot came along.
    assert at == pytest.approx([21, 23, 25], abs=3)
    assert fleet(health)["pull_failures"] == failures


def test_keyframes_count_as_shared_once_the_store_has_them(
    robot, camera, fixes, peer, health, uri, parameters
):
    away = uri.with_name("away")
    uri.rename(away)
    fixes.publish(fix_at(26.0, camera.stamp_ns))
    answer = peer.call(SetBool, f"{NODE}/set_mapping", SetBool.Request(data=True))
    assert answer.success, answer.message
    robot.drive(range(27, 36, 2))
    assert peer.call(Trigger, f"{NODE}/save_map").success
    peer.wait_for(lambda: int(fleet(health)["push_failures"]), "the store to be missed")
    assert fleet(health)["shared"] == "0"
    assert "the store is tried again" in health.status("fleet").message
    assert int(fleet(health)["waiting"]) > 0
    shutil.rmtree(uri, ignore_errors=True)
    away.rename(uri)
    with PlaceMap.open(parameters["map"]) as place_map:
        mapped = len(place_map)
    assert mapped
    peer.wait_for(lambda: fleet(health)["shared"] == str(mapped), "the keyframes to be shared")
    sessions = {one.key for one in open_fleet(str(uri)).info().sessions}
    assert "bob/own" in sessions
    assert fleet(health)["waiting"] == "0"


def test_a_full_disk_leaves_the_region_in_use_and_what_waits(
    robot, peer, health, active, parameters
):
    before, poses = fleet(health), len(robot.poses)
    store = store_process(active.process.pid)
    soft, hard = resource.prlimit(store, resource.RLIMIT_FSIZE)
    resource.prlimit(store, resource.RLIMIT_FSIZE, (4096, hard))
    try:
        robot.drive(range(37, 46, 2))
        assert peer.call(Trigger, f"{NODE}/save_map").success
        for name in ("pull_failures", "push_failures"):
            peer.wait_for(lambda name=name: int(fleet(health)[name]) > int(before[name]), name)
        peer.wait_for(lambda: int(fleet(health)["waiting"]), "places to wait")
    finally:
        resource.prlimit(store, resource.RLIMIT_FSIZE, (soft, hard))
    assert "its limit is reached" in fleet(health)["pull_fault"]
    assert len(robot.poses) >= poses + 5
    for name in ("regions", "region", "cached_places", "shared"):
        assert fleet(health)[name] == before[name]
    maps = {one.stem for one in Path(parameters["fleet.cache_folder"]).rglob("*region*")}
    assert len(maps) == 1
    with PlaceMap.open(parameters["map"]) as place_map:
        mapped = len(place_map)
    peer.wait_for(lambda: fleet(health)["shared"] == str(mapped), "the keyframes to be shared")
    regions = str(int(before["regions"]) + 1)
    peer.wait_for(lambda: fleet(health)["regions"] == regions, "the next region")


def test_a_second_robot_is_killed_while_both_map_and_exchange(
    robot, peer, health, parameters, uri, corridor_images, tmp_path
):
    """Robot eve, whose clock goes back by a year, beside the robot bob."""
    given = {
        **parameters,
        "fleet.robot": "eve",
        "fleet.cache_folder": str(tmp_path / "cache"),
        "map": str(tmp_path / "own.progeo"),
        "cameras": ["/eve/image_raw"],
    }
    with LocalizerProcess(given, namespace="/eve") as process:
        process.activate(peer.node, peer.executor)
        own = diagnostics(peer, "/eve")
        camera = Camera(peer, own, "/eve/image_raw", corridor_images[0])
        fixes = receiver(peer, "/eve/fix_reference")
        eve = Robot(peer, camera, corridor_images, fixes, f"/eve{NODE}")
        assert peer.call(SetBool, f"/eve{NODE}/set_mapping", SetBool.Request(data=True)).success
        for step in range(10):
            eve.drive(range(3 * step, 3 * step + 1))
            robot.drive(range(44 - 2 * step, 45 - 2 * step))
            if step == 5:
                camera.stamp_ns -= 365 * 86_400 * 10**9
        peer.wait_for(lambda: int(fleet(own)["regions"]) > 1, "eve's next region")
        peer.wait_for(lambda: int(fleet(own)["shared"]), "eve's keyframes to be shared")
        eve.drive(range(31, 38, 2))
        assert peer.call(Trigger, f"/eve{NODE}/save_map").success
        acknowledged = int(fleet(own)["shared"])
        process.process.kill()
        process.process.wait()
    with PlaceMap.open(given["map"]) as place_map:
        mapped = len(place_map)
    assert mapped >= acknowledged
    # Under another name, as the middleware takes a while to forget the one that was killed.
    with LocalizerProcess(given, namespace="/back") as process:
        process.activate(peer.node, peer.executor)
        own = diagnostics(peer, "/back")
        peer.wait_for(lambda: int(fleet(own).get("shared", 0)), "the rest to be shared")
        peer.wait_for(lambda: fleet(own)["waiting"] == "0", "all to be shared")
    assert peer.call(Trigger, f"{NODE}/save_map").success
    with PlaceMap.open(parameters["map"]) as place_map:
        bobs = len(place_map)
    peer.wait_for(lambda: fleet(health)["shared"] == str(bobs), "bob's keyframes to be shared")
    blocks = list(open_fleet(str(uri)).region(None))
    ids = [one for block in blocks for one in block.ids]
    assert len(set(ids)) == len(ids)
    kept = Counter(key for block in blocks for key in block.sessions)
    assert (kept["eve/own"], kept["bob/own"]) == (mapped, bobs)


def test_a_lost_robot_is_found_in_the_whole_store(robot, campus, peer, health):
    robot.show(campus.images[5])
    answer = peer.call(Trigger, f"{NODE}/relocalize_fleet")
    assert answer.success, answer.message
    assert "latitude -27.40" in answer.message
    peer.wait_for(lambda: "around -27.4" in fleet(health)["region"], "the region of the campus")


def test_what_is_nowhere_in_the_store_is_not_found(robot, peer, tmp_path, health):
    noise = np.random.default_rng(0).integers(0, 255, (240, 320, 3), np.uint8)
    cv2.imwrite(str(tmp_path / "noise.png"), noise)
    regions = fleet(health)["regions"]
    robot.show(tmp_path / "noise.png")
    answer = peer.call(Trigger, f"{NODE}/relocalize_fleet")
    assert not answer.success
    assert fleet(health)["regions"] == regions
