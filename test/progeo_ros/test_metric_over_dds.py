"""The node in its own process gives the pose of the robot in centimetres, over DDS."""

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import PoseWithCovarianceStamped, TransformStamped
from rclpy.qos import DurabilityPolicy, QoSProfile
from scipy.spatial.transform import Rotation
from sensor_msgs.msg import CameraInfo, Image

from progeo_core.records.records import Records, read_records
from progeo_ros.conversions import stamp_to_ns
from progeo_ros.process.localizer_process import LocalizerProcess
from progeo_ros.replay.live_replay import values_of
from test.office_robot import TILTED, image_message, info_message

pytestmark = pytest.mark.slow  # every test waits for a process that loads a network

NODE = "/progeo_localizer"
# The mount of the one is a parameter, that of the other comes as static transforms.
FRONT, MAST = "/front/image_raw", "/mast/image_raw"
LATCHED = QoSProfile(depth=10, durability=DurabilityPolicy.TRANSIENT_LOCAL)


class Answer:
    """What the node said of one image: its status, and its pose where it has one."""

    def __init__(self, status: DiagnosticStatus, pose: PoseWithCovarianceStamped | None) -> None:
        self.level, self.message, self.pose = status.level, status.message, pose
        self.values = values_of(status)

    @property
    def position(self) -> np.ndarray:
        point = self.pose.pose.pose.position
        return np.array([point.x, point.y, point.z])

    @property
    def turn(self) -> Rotation:
        said = self.pose.pose.pose.orientation
        return Rotation.from_quat([said.x, said.y, said.z, said.w])

    @property
    def covariance(self) -> np.ndarray:
        return np.array(self.pose.pose.covariance).reshape(6, 6)


class Robot:
    """Cameras of one robot, and the answers to their images."""

    def __init__(
        self, peer: Any, office: Path, process: LocalizerProcess, topics: tuple[str, ...]
    ) -> None:
        self._peer, self.process, self.stamp_ns = peer, process, 1_700_000_000_000_000_000
        self._statuses = peer.collect(DiagnosticArray, f"{NODE}/status")
        self._poses = peer.collect(PoseWithCovarianceStamped, f"{NODE}/pose")
        process.activate(peer.node, peer.executor)
        self.right_info = info_message(office)
        self._images, self._infos = {}, {}
        self._calibrations: dict[str, CameraInfo] = {}
        for topic in topics:
            self._images[topic] = peer.node.create_publisher(Image, topic, 10)
            info = f"{topic.rpartition('/')[0]}/camera_info"
            self._infos[topic] = peer.node.create_publisher(CameraInfo, info, 10)
            peer.wait_for(self._images[topic].get_subscription_count, topic)
            peer.wait_for(self._infos[topic].get_subscription_count, info)

    def calibrate(self, topic: str, info: CameraInfo | None = None) -> None:
        """Say what goes out beside every image from now on, as drivers do."""
        self._calibrations[topic] = self.right_info if info is None else info

    def publish(self, topic: str, image: Image) -> None:
        if topic in self._calibrations:
            self._infos[topic].publish(self._calibrations[topic])
        self._images[topic].publish(image)

    def ask(self, topic: str, image: Path) -> Answer:
        """Send an image until it is answered; return the answer."""
        while True:
            self.stamp_ns += 100_000_000
            stamp_ns = self.stamp_ns
            self.publish(topic, image_message(image, stamp_ns, f"{topic[1:5]}_optical"))
            for _ in range(100):
                self._peer.executor.spin_once(timeout_sec=0.05)
                found = [one for one in self._statuses if stamp_to_ns(one.header.stamp) == stamp_ns]
                if found:
                    return Answer(found[0].status[0], self._pose_of(stamp_ns, found[0].status[0]))

    def ask_until(self, topic: str, image: Path, done: Any) -> Answer:
        """Ask until an answer is as it should be, as other messages come on their own."""
        answers: list[Answer] = []

        def is_done() -> bool:
            answers.append(self.ask(topic, image))
            return bool(done(answers[-1]))

        self._peer.wait_for(is_done, f"{topic}, {answers[-1].message if answers else ''}")
        return answers[-1]

    def _pose_of(self, stamp_ns: int, status: DiagnosticStatus) -> PoseWithCovarianceStamped | None:
        if values_of(status)["accepted"] != "True":
            return None

        def poses() -> list[PoseWithCovarianceStamped]:
            return [one for one in self._poses if stamp_to_ns(one.header.stamp) == stamp_ns]

        self._peer.wait_for(poses, "the pose of an accepted answer")
        return poses()[0]


@pytest.fixture(scope="module")
def robot(peer, tf2_messages, office: Path, office_map: Path, small_model: Path) -> Iterator[Robot]:
    del tf2_messages
    parameters = {
        "map": office_map,
        "model": small_model,
        "device": "cpu",
        "runtime": "torch",
        "cameras": [FRONT, MAST],
        "image_reliability": "reliable",
        "camera_extrinsics": [TILTED.text, ""],
    }
    with LocalizerProcess(parameters) as process:
        yield Robot(peer, office, process, (FRONT, MAST))


@pytest.fixture(scope="module")
def queries(office: Path) -> Records:
    return read_records(office / "query.csv")


@pytest.fixture(scope="module")
def health(peer):
    return peer.watch()


def is_metric(answer: Answer) -> bool:
    return answer.values["method"] == "metric"


def assert_pose_of_base(answer: Answer, queries: Records, row: int) -> None:
    """Compare a pose with the truth, as its own covariance allows."""
    position, turn = TILTED.base(queries, row)
    assert np.linalg.norm(answer.position - position) < 0.10
    error = np.concatenate([answer.position - position, (answer.turn * turn.inv()).as_rotvec()])
    assert np.degrees(np.linalg.norm(error[3:])) < 2.0
    np.testing.assert_allclose(answer.covariance, answer.covariance.T)
    assert np.linalg.eigvalsh(answer.covariance).min() > 0.0
    assert np.sqrt(np.diag(answer.covariance)).max() < 0.3
    # Beyond this one of 10,000 lies, of six numbers with this covariance.
    assert error @ np.linalg.solve(answer.covariance, error) < 27.9


def test_without_a_calibration_the_answer_is_of_a_place_and_says_so(
    peer, health, robot: Robot, queries: Records, corridor: Path
) -> None:
    answer = robot.ask(FRONT, queries.images[1])
    assert answer.values["method"] == "place"
    assert "no metric pose: nothing comes on /front/camera_info" in answer.message
    robot.calibrate(FRONT, CameraInfo(width=540, height=360))
    answer = robot.ask_until(FRONT, queries.images[1], lambda one: "is 0" in one.message)
    assert "its focal length in K is 0: calibrate the camera" in answer.message
    robot.calibrate(FRONT)
    answer = robot.ask_until(FRONT, queries.images[1], is_metric)
    # Images of another shape than the calibration's.
    answer = robot.ask(FRONT, corridor / "query" / "0000000.jpg")
    assert answer.values["method"] == "place"
    assert "does not fit one of 160x120" in answer.message
    status = f"camera {FRONT}"
    peer.wait_for(lambda: "does not fit" in health.status(status).message, "the diagnostics")
    assert health.status(status).level == DiagnosticStatus.WARN
    assert int(health.values(status)["uncalibrated"]) >= 3
    # One warning a minute.
    assert robot.process.output().count("no metric poses: ") == 1


def test_the_parameter_makes_it_the_pose_of_the_robot(robot: Robot, queries: Records) -> None:
    robot.calibrate(FRONT)
    robot.ask_until(FRONT, queries.images[0], is_metric)
    for row, image in enumerate(queries.images):
        answer = robot.ask(FRONT, image)
        assert answer.message.startswith("LOCALIZED")
        assert int(answer.values["landmarks"]) >= 40
        assert_pose_of_base(answer, queries, row)


def test_static_transforms_do_the_same(peer, health, robot: Robot, queries: Records) -> None:
    robot.calibrate(MAST)
    answer = robot.ask_until(MAST, queries.images[1], is_metric)
    # Nothing says where this camera is: the pose is its own, and so are the unknown axes.
    assert np.linalg.norm(answer.position - queries.position[1]) < 0.10
    assert np.diag(answer.covariance)[3:5].tolist() == [1e6, 1e6]
    status = f"camera {MAST}"
    words = "/tf_static does not connect 'mast_optical' with 'base_link': metric poses are those of"
    peer.wait_for(lambda: words in health.status(status).message, "the diagnostics")
    assert robot.process.output().count(words) == 1

    kind: Any = importlib.import_module("tf2_msgs.msg").TFMessage
    publisher = peer.node.create_publisher(kind, "/tf_static", LATCHED)
    up, mounted = TransformStamped(child_frame_id="mast"), TransformStamped()
    up.header.frame_id, mounted.header.frame_id = "base_link", "mast"
    mounted.child_frame_id = "mast_optical"
    up.transform.translation.z = TILTED.offset[2]
    offset, rotation = mounted.transform.translation, mounted.transform.rotation
    offset.x, offset.y = TILTED.offset[:2]
    rotation.x, rotation.y, rotation.z, rotation.w = TILTED.turn.as_quat()
    # A root above the base, as many robots have.
    root = TransformStamped(child_frame_id="base_link")
    root.header.frame_id = "base_footprint"
    publisher.publish(kind(transforms=[root, mounted, up]))
    robot.ask_until(MAST, queries.images[1], lambda one: one.covariance[3, 3] < 1.0)
    for row, image in enumerate(queries.images):
        assert_pose_of_base(robot.ask(MAST, image), queries, row)
    peer.wait_for(lambda: "images/s" in health.status(status).message, "the all-clear")
    assert float(health.values(status)["metric_share"]) > 0.5
