"""A robot of a fleet over DDS: the node in its own process, with a real store in a folder."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
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
from progeo_core.records.records import read_records
from progeo_ros.conversions import stamp_from_ns
from progeo_ros.process.localizer_process import LocalizerProcess
from test.progeo_ros.conftest import DATUM
from test.progeo_ros.test_localizer_over_dds import NODE, Camera

pytestmark = pytest.mark.slow  # every test waits for a process that loads a network

TOPIC = "/front/image_raw"
# Places of the corridor are 1 m apart.
RADIUS_M = 60.0


@pytest.fixture(scope="module")
def corridor_images(corridor: Path) -> list[Path]:
    return read_records(corridor / "ref.csv").images


@pytest.fixture(scope="module")
def uri(encoder, corridor: Path, tmp_path_factory) -> Path:
    """Return a store with a corridor of 111 places, each metre."""
    folder = tmp_path_factory.mktemp("fleet")
    path = folder / "corridor.progeo"
    build_map(path, FileSource(read_records(corridor / "ref.csv")), encoder, datum=DATUM)
    with PlaceMap.open(path) as place_map:
        store = open_fleet(str(folder / "store"), place_map.fingerprint)
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
def poses(peer):
    return peer.collect(PoseWithCovarianceStamped, f"{NODE}/pose")


@pytest.fixture(scope="module")
def fixes(peer, active):
    del active
    publisher = peer.node.create_publisher(NavSatFix, "fix_reference", qos_profile_sensor_data)
    peer.wait_for(publisher.get_subscription_count, "the node to hear fixes")
    return publisher


def fleet(health) -> dict[str, str]:
    return health.values("fleet")


def fix_at(x_m: float, stamp_ns: int) -> NavSatFix:
    lat, lon, alt = wgs84_from_enu([[x_m, 0.0, 0.0]], DATUM)[0]
    message = NavSatFix(latitude=lat, longitude=lon, altitude=alt)
    message.status.status = NavSatStatus.STATUS_FIX
    message.header.stamp = stamp_from_ns(stamp_ns)
    return message


def drive(camera: Camera, images: list[Path], fixes=None, numbers: range = range(0)) -> None:
    """Send images one by one, with the fix of each where there is somebody to send it."""
    for number in numbers:
        stamp_ns = camera.send(images[number])
        if fixes is not None:
            fixes.publish(fix_at(float(number), stamp_ns))
        camera.settle("waiting", 0)


def test_a_robot_that_knows_only_the_store_is_localized(camera, poses, corridor_images, peer):
    drive(camera, corridor_images, numbers=range(1, 9))
    peer.wait_for(lambda: poses, "a pose")
    assert 0.0 < poses[-1].pose.pose.position.x < 12.0


def test_the_region_is_exchanged_while_the_robot_drives(
    camera, poses, fixes, corridor_images, peer, health
):
    places = int(fleet(health)["cached_places"])
    drive(camera, corridor_images, fixes, range(9, 36, 2))
    peer.wait_for(lambda: fleet(health)["regions"] == "2", "the next region")
    assert int(fleet(health)["cached_places"]) > places
    before = len(poses)
    drive(camera, corridor_images, fixes, range(37, 43, 2))
    peer.wait_for(lambda: len(poses) >= before + 3, "poses in the next region")
    at = [pose.pose.pose.position.x for pose in poses[before:]]
    # In the same frame, and at once: what is known of the robot came along.
    assert at == pytest.approx([37, 39, 41], abs=3)
    assert fleet(health)["pull_failures"] == "0"


def test_keyframes_count_as_shared_once_the_store_has_them(
    camera, fixes, corridor_images, peer, health, uri, parameters
):
    away = uri.with_name("away")
    uri.rename(away)
    fixes.publish(fix_at(43.0, camera.stamp_ns))
    answer = peer.call(SetBool, f"{NODE}/set_mapping", SetBool.Request(data=True))
    assert answer.success, answer.message
    drive(camera, corridor_images, fixes, range(43, 52, 2))
    assert peer.call(Trigger, f"{NODE}/save_map").success
    peer.wait_for(lambda: int(fleet(health)["push_failures"]), "the store to be missed")
    assert fleet(health)["shared"] == "0"
    assert "there is no fleet's store" in health.status("fleet").message
    shutil.rmtree(uri, ignore_errors=True)
    away.rename(uri)
    with PlaceMap.open(parameters["map"]) as place_map:
        mapped = len(place_map)
    assert mapped
    peer.wait_for(lambda: fleet(health)["shared"] == str(mapped), "the keyframes to be shared")
    sessions = {one.key for one in open_fleet(str(uri)).info().sessions}
    assert "bob/own" in sessions
    assert fleet(health)["waiting"] == "0"


def test_a_lost_robot_is_found_in_the_whole_store(
    camera, campus, corridor_images, peer, health
):
    camera.send(campus.images[5])
    camera.settle("waiting", 0)
    answer = peer.call(Trigger, f"{NODE}/relocalize_fleet")
    assert answer.success, answer.message
    assert f"latitude {campus.position[5, 0]:.3f}" in answer.message
    peer.wait_for(lambda: fleet(health)["cached_places"] == "20", "the region of the campus")


def test_what_is_nowhere_in_the_store_is_not_found(camera, peer, tmp_path, health):
    write_image(tmp_path / "noise.png", np.random.default_rng(0))
    regions = fleet(health)["regions"]
    camera.send(tmp_path / "noise.png")
    camera.settle("waiting", 0)
    answer = peer.call(Trigger, f"{NODE}/relocalize_fleet")
    assert not answer.success
    assert fleet(health)["regions"] == regions
