"""The node as robots meet it: in its own process, over DDS."""

import shutil
import time
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import PoseWithCovarianceStamped
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from nav_msgs.srv import LoadMap
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters
from rclpy.qos import DurabilityPolicy, QoSProfile, qos_profile_sensor_data
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CompressedImage, Image, NavSatFix, PointCloud2
from std_srvs.srv import Trigger
from visualization_msgs.msg import MarkerArray

from progeo_core.images.codec import read_image
from progeo_core.images.ros_encodings import rgb_from_compressed
from progeo_core.map.place_map import PlaceMap
from progeo_core.records.records import Records
from progeo_ros.conversions import stamp_from_ns, stamp_to_ns
from progeo_ros.process.localizer_process import LocalizerProcess

pytestmark = pytest.mark.slow  # every test waits for a process that loads a network

FRONT, REAR = "/front/image_raw", "/rear/image_raw"
NODE = "/progeo_localizer"


class Camera:
    """A camera driver: sends raw images and knows what it sent."""

    def __init__(self, peer, health, topic: str, first: Path) -> None:
        self.topic, self.stamp_ns = topic, 1_700_000_000_000_000_000
        self._peer, self._health = peer, health
        self._publisher = peer.node.create_publisher(Image, topic, qos_profile_sensor_data)
        peer.wait_for(self._publisher.get_subscription_count, "the subscription")
        peer.wait_for(lambda: self.counts()["publishers"] == 1, "the node to see the camera")
        # The node cannot know of losses before the first image it gets.
        self.send(first)
        self.settle("received", 1)

    def counts(self) -> dict[str, int]:
        return self._health.counts(self.topic)

    def send(self, path: Path, **wrong: object) -> int:
        """Send an image, with some fields wrong; return its stamp (ns)."""
        pixels = read_image(path)
        height, width, _ = pixels.shape
        message = Image(height=height, width=width, encoding="rgb8", step=3 * width)
        message.data = array("B", pixels.tobytes())
        self.stamp_ns += 100_000_001
        message.header.stamp = stamp_from_ns(self.stamp_ns)
        message.header.frame_id = "camera_link"
        for field, value in wrong.items():
            setattr(message if field != "stamp" else message.header, field, value)
        self._publisher.publish(message)
        return self.stamp_ns

    def settle(self, count: str, expected: int) -> dict[str, int]:
        """Wait until a count has a value and nothing is at work; return all counts."""
        self._peer.wait_for(
            lambda: self.counts()[count] == expected and self.counts()["waiting"] == 0,
            f"{count} = {expected}",
        )
        return self.counts()

    def account_for(self, start: dict[str, int], sent: int, path: Path) -> dict[str, int]:
        """Wait until `sent` images since `start` were received or lost; return all counts.

        A loss shows when a later image arrives, so others follow every few seconds.
        """
        next_at = time.monotonic() + 3.0

        def accounted() -> bool:
            nonlocal sent, next_at
            counts = self.counts()
            seen = counts["received"] + counts["lost"] - start["received"] - start["lost"]
            if seen >= sent and counts["waiting"] == 0:
                return True
            if time.monotonic() > next_at:
                self.send(path)
                sent, next_at = sent + 1, time.monotonic() + 3.0
            return False

        self._peer.wait_for(accounted, "every image to be accounted for")
        return self.counts()


@pytest.fixture(scope="module")
def process(dds_domain, corridor_map: Path, tmp_path_factory) -> Iterator[LocalizerProcess]:
    """Start the node on a copy of the map, with two cameras and all answers accepted."""
    del dds_domain
    path = tmp_path_factory.mktemp("robot") / "corridor.progeo"
    shutil.copy(corridor_map, path)
    parameters = {
        "map": path,
        "device": "cpu",
        "cameras": [FRONT, REAR],
        "localizer.min_confidence": 0.0,
    }
    with LocalizerProcess(parameters) as started:
        yield started


@pytest.fixture(scope="module")
def health(peer):
    return peer.watch()


@pytest.fixture(scope="module")
def active(peer, process: LocalizerProcess) -> LocalizerProcess:
    process.activate(peer.node, peer.executor)
    return process


@pytest.fixture(scope="module")
def front(peer, health, active, places: Records) -> Camera:
    del active
    return Camera(peer, health, FRONT, places.images[0])


@pytest.fixture(scope="module")
def rear(peer, health, active, places: Records) -> Camera:
    del active
    return Camera(peer, health, REAR, places.images[0])


def change(peer, transition: int) -> bool:
    request = ChangeState.Request(transition=Transition(id=transition))
    return bool(peer.call(ChangeState, f"{NODE}/change_state", request).success)


def set_parameter(peer, name: str, value: ParameterValue) -> str:
    """Set a parameter of the node; return why it was refused."""
    request = SetParameters.Request(parameters=[Parameter(name=name, value=value)])
    (result,) = peer.call(SetParameters, f"{NODE}/set_parameters", request).results
    return "" if result.successful else result.reason


def a_double(value: float) -> ParameterValue:
    return ParameterValue(type=ParameterType.PARAMETER_DOUBLE, double_value=value)


def an_integer(value: int) -> ParameterValue:
    return ParameterValue(type=ParameterType.PARAMETER_INTEGER, integer_value=value)


def test_an_answer_comes_in_every_form(peer, front: Camera, places: Records) -> None:
    poses = peer.collect(PoseWithCovarianceStamped, f"{NODE}/pose")
    fixes = peer.collect(NavSatFix, f"{NODE}/fix")
    markers = peer.collect(MarkerArray, f"{NODE}/matches")
    statuses = peer.collect(DiagnosticArray, f"{NODE}/status")
    pictures = peer.collect(CompressedImage, f"{NODE}/match_image", qos_profile_sensor_data)
    # One after the other until all readers have found their writers.
    while not (poses and fixes and markers and statuses and pictures):
        stamp_ns = front.send(places.images[4])
        answered = front.counts()["answered"]
        peer.wait_for(lambda before=answered: front.counts()["answered"] > before, "an answer")
    pose, fix, status = poses[-1], fixes[-1], statuses[-1].status[0]
    assert stamp_to_ns(statuses[-1].header.stamp) == stamp_ns
    assert stamp_to_ns(pose.header.stamp) == stamp_to_ns(fix.header.stamp) == stamp_ns
    assert pose.header.frame_id == "map"
    # The very image is in the map, so its own place must win.
    assert pose.pose.pose.position.x == pytest.approx(places.position[4, 0], abs=5.0)
    assert np.diag(np.array(pose.pose.covariance).reshape(6, 6)).min() > 0
    assert fix.latitude == pytest.approx(-27.5, abs=0.01)
    assert status.name == f"progeo_localizer: {FRONT}"
    assert status.message.startswith("LOCALIZED: ")
    assert markers[-1].markers[0].points
    picture = rgb_from_compressed(pictures[-1].data, "jpeg", "match_image")
    assert picture.shape[0] > 240


def test_images_faster_than_the_encoder_are_answered_or_counted(
    peer, front: Camera, rear: Camera, places: Records
) -> None:
    before = front.settle("waiting", 0), rear.settle("waiting", 0)
    for path in places.images:
        front.send(path)
        rear.send(path)
    for camera, start in zip((front, rear), before, strict=True):
        counts = camera.account_for(start, len(places), places.images[0])
        assert counts["answered"] + counts["dropped"] + counts["failed"] == counts["received"]
        assert counts["dropped"] > start["dropped"], "twenty images at once were all answered?"
        assert counts["answered"] > start["answered"], "a camera starved"


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"step": 100}, "step"),
        ({"encoding": "rgb9"}, "rgb9"),
        ({"data": array("B", b"\0" * 1000)}, "truncated"),
        ({"height": 0}, "no pixels"),
        ({"stamp": stamp_from_ns(0)}, "no stamp"),
    ],
)
def test_bad_images_are_counted_and_explained(
    peer, health, front: Camera, places: Records, wrong: dict[str, object], complaint: str
) -> None:
    before = front.settle("waiting", 0)
    front.send(places.images[0], **wrong)
    after = front.settle("failed", before["failed"] + 1)
    assert after["answered"] == before["answered"]
    status = health.status(f"camera {FRONT}")
    assert status.level == DiagnosticStatus.WARN
    assert complaint in status.message
    # The node is still well.
    front.send(places.images[0])
    front.settle("answered", before["answered"] + 1)


@pytest.mark.parametrize("encoding", ["mono16", "bayer_rggb8"])
def test_unusual_encodings_are_answered(front: Camera, places: Records, encoding: str) -> None:
    before = front.settle("waiting", 0)
    grey = np.ascontiguousarray(read_image(places.images[0])[:, :, 1])
    samples = grey.astype(np.uint16) * 257 if encoding == "mono16" else grey
    front.send(
        places.images[0],
        encoding=encoding,
        step=samples.strides[0],
        data=array("B", samples.tobytes()),
    )
    front.settle("answered", before["answered"] + 1)


def test_thresholds_are_dynamic_and_withhold_poses(peer, front: Camera, places: Records) -> None:
    poses = peer.collect(PoseWithCovarianceStamped, f"{NODE}/pose")
    assert set_parameter(peer, "localizer.min_confidence", a_double(1.0)) == ""
    assert "out of range" in set_parameter(peer, "localizer.min_confidence", a_double(1.5))
    statuses = peer.collect(DiagnosticArray, f"{NODE}/status")
    before = front.counts()["answered"]
    while not statuses:
        front.send(places.images[3])
        before += 1
        front.settle("answered", before)
    assert statuses[-1].status[0].level == DiagnosticStatus.WARN
    assert not statuses[-1].status[0].message.startswith("LOCALIZED")
    assert poses == []
    assert set_parameter(peer, "localizer.min_confidence", a_double(0.0)) == ""


def test_views_are_compared_once_that_is_switched_on(
    peer, front: Camera, corridor: Path, active
) -> None:
    del active
    # In the light of the other pass several places look like this image.
    picture, budget = corridor / "query" / "0000015.jpg", "localizer.verification_ms"
    statuses = peer.collect(DiagnosticArray, f"{NODE}/status")
    assert set_parameter(peer, "localizer.min_confidence", a_double(0.9)) == ""
    assert set_parameter(peer, budget, an_integer(0)) == ""

    def answer() -> Any:
        stamp_ns = front.send(picture)
        answered = front.counts()["answered"]
        peer.wait_for(lambda: front.counts()["answered"] > answered, "an answer")
        found = [one for one in statuses if stamp_to_ns(one.header.stamp) == stamp_ns]
        return found[0].status[0] if found else answer()

    assert answer().message.startswith("AMBIGUOUS")
    poses = peer.collect(PoseWithCovarianceStamped, f"{NODE}/pose")
    assert set_parameter(peer, budget, an_integer(1000)) == ""
    while not poses:
        status = answer()
    assert status.message.startswith("LOCALIZED")
    assert poses[-1].pose.pose.position.x == pytest.approx(15.0, abs=2.5)
    assert set_parameter(peer, budget, an_integer(0)) == ""
    assert set_parameter(peer, "localizer.min_confidence", a_double(0.0)) == ""


def test_what_is_read_at_configure_is_refused_while_active(peer, active) -> None:
    del active
    value = ParameterValue(type=ParameterType.PARAMETER_STRING, string_value="other")
    assert "clean it up first" in set_parameter(peer, "model", value)


def test_the_map_can_be_reloaded_and_a_bad_one_changes_nothing(
    peer, health, front: Camera, places: Records, tmp_path: Path
) -> None:
    response = peer.call(Trigger, f"{NODE}/reload_map")
    assert response.success
    assert "20 places" in response.message
    path = health.values("node")["map"]
    nowhere = str(tmp_path / "nowhere.progeo")
    missing = ParameterValue(type=ParameterType.PARAMETER_STRING, string_value=nowhere)
    assert set_parameter(peer, "map", missing) == ""
    response = peer.call(Trigger, f"{NODE}/reload_map")
    assert not response.success
    assert "nowhere.progeo" in response.message
    before = front.settle("waiting", 0)
    front.send(places.images[0])
    front.settle("answered", before["answered"] + 1)
    assert health.values("node")["map"] == path
    mended = ParameterValue(type=ParameterType.PARAMETER_STRING, string_value=path)
    assert set_parameter(peer, "map", mended) == ""


def test_another_map_is_loaded_by_its_url_and_shown_to_latecomers(
    peer, health, active, tmp_path: Path
) -> None:
    del active
    answers = LoadMap.Response
    path = Path(health.values("node")["map"])
    other, damaged = tmp_path / "other floor.progeo", tmp_path / "damaged.progeo"
    damaged.write_bytes(b"no map" * 1000)
    shutil.copy(path, other)
    with PlaceMap.open(other, writable=True) as place_map:
        place_map.delete(place_map.ids()[12:])
    for url, result in (
        (str(tmp_path / "nowhere.progeo"), answers.RESULT_MAP_DOES_NOT_EXIST),
        (str(damaged), answers.RESULT_INVALID_MAP_DATA),
        ("https://example.org/m.progeo", answers.RESULT_UNDEFINED_FAILURE),
        (other.as_uri(), answers.RESULT_SUCCESS),
    ):
        request = LoadMap.Request(map_url=url)
        assert peer.call(LoadMap, f"{NODE}/load_map", request).result == result, url
    peer.wait_for(lambda: health.values("node")["map"] == str(other), "the other map")
    assert "12 places" in peer.call(Trigger, f"{NODE}/reload_map").message
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    shown = peer.collect(PointCloud2, f"{NODE}/map_markers", latched)
    peer.wait_for(lambda: shown, "the map")
    assert shown[-1].width == 12
    peer.call(LoadMap, f"{NODE}/load_map", LoadMap.Request(map_url=str(path)))
    peer.wait_for(lambda: shown[-1].width == 20, "the first map again")


def test_the_newest_image_is_answered_on_request(peer, front: Camera, places: Records) -> None:
    before = front.settle("waiting", 0)
    front.send(places.images[3])
    front.settle("answered", before["answered"] + 1)
    response = peer.call(Trigger, f"{NODE}/localize_once")
    assert response.success
    x, y = places.position[3, :2]
    assert f"x {x:.2f}, y {y:.2f}" in response.message
    assert "standard deviation" in response.message
    assert front.counts() == {**before, "received": before["received"] + 1} | {
        "answered": before["answered"] + 1
    }


def test_a_pose_estimate_is_refused_where_images_are_answered_by_themselves(
    peer, active: LocalizerProcess
) -> None:
    publisher = peer.node.create_publisher(PoseWithCovarianceStamped, "/initialpose", 10)
    peer.wait_for(publisher.get_subscription_count, "the subscription")
    given = PoseWithCovarianceStamped()
    given.header.frame_id, given.pose.pose.orientation.w = "map", 1.0
    publisher.publish(given)
    words = "initialpose is not used: every image is answered by itself: set localizer.sequence"
    peer.wait_for(lambda: words in active.output(), "the words")


def test_relocalize_says_that_single_images_have_no_past(peer, active) -> None:
    del active
    response = peer.call(Trigger, f"{NODE}/relocalize")
    assert response.success
    assert "nothing to forget" in response.message


def test_a_silent_camera_is_told(peer, health, rear: Camera) -> None:
    assert set_parameter(peer, "image_timeout_s", a_double(0.1)) == ""
    peer.wait_for(lambda: "no images for" in health.status(f"camera {REAR}").message)
    assert health.status(f"camera {rear.topic}").level == DiagnosticStatus.WARN
    assert set_parameter(peer, "image_timeout_s", a_double(3600.0)) == ""


def test_simulated_time_is_taken_from_the_clock(peer, health, active) -> None:
    del active
    on = ParameterValue(type=ParameterType.PARAMETER_BOOL, bool_value=True)
    assert set_parameter(peer, "use_sim_time", on) == ""
    peer.wait_for(lambda: "/clock" in health.status("node").message, "the missing clock")
    clock = peer.node.create_publisher(Clock, "/clock", 10)
    message = Clock(clock=stamp_from_ns(42_000_000_000))

    def sim_time_arrived() -> bool:
        clock.publish(message)
        return bool(health.stamp_ns == 42_000_000_000)

    peer.wait_for(sim_time_arrived, "diagnostics in simulated time")
    assert health.status("node").level == DiagnosticStatus.OK
    off = ParameterValue(type=ParameterType.PARAMETER_BOOL, bool_value=False)
    assert set_parameter(peer, "use_sim_time", off) == ""


def test_lifecycle_over_services_and_a_fresh_start(
    peer, health, front: Camera, places: Records
) -> None:
    assert change(peer, Transition.TRANSITION_DEACTIVATE)
    peer.wait_for(lambda: health.values("node").get("state") == "inactive", "inactive")
    assert "not listening" in health.status(f"camera {FRONT}").message
    assert change(peer, Transition.TRANSITION_CLEANUP)
    response = peer.call(Trigger, f"{NODE}/reload_map")
    assert (response.success, "not configured" in response.message) == (False, True)
    assert change(peer, Transition.TRANSITION_CONFIGURE)
    assert change(peer, Transition.TRANSITION_ACTIVATE)
    assert peer.call(GetState, f"{NODE}/get_state").current_state.label == "active"
    peer.wait_for(lambda: front.counts()["publishers"] == 1, "the camera")
    assert front.counts()["received"] == 0
    front.send(places.images[0])
    front.settle("answered", 1)


def test_ctrl_c_while_images_come_ends_cleanly(
    front: Camera, places: Records, process: LocalizerProcess
) -> None:
    for path in places.images:
        front.send(path)
    started = time.monotonic()
    assert process.stop() == 0
    assert time.monotonic() - started < 60.0, "killed after all"
    assert "Traceback" not in process.output()
