"""From image messages to answers, in this process: every image is counted, the map may change."""

import dataclasses
import importlib
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseWithCovarianceStamped
from nav_msgs.msg import Odometry
from sensor_msgs.msg import Image

from progeo_core.errors import DataError, ImageError, UsageError
from progeo_core.images.codec import read_image
from progeo_core.localization.consensus import ConsensusSettings
from progeo_core.localization.localizer_settings import LocalizerSettings
from progeo_core.localization.place_filter import PlaceFilterSettings
from progeo_core.records.records import Records
from progeo_core.slam.keyframes import KeyframeSettings
from progeo_core.slam.loop_closure import LoopClosureSettings
from progeo_ros import tf2_topics
from progeo_ros.conversions import quaternion_from_yaw, stamp_from_ns
from progeo_ros.loaded_map import LocalizerOptions
from progeo_ros.mapping_session import SessionOptions
from progeo_ros.pipeline import Pipeline
from progeo_ros.process.guarded_node import GuardedLifecycleNode
from progeo_ros.replay.live_replay import values_of
from progeo_ros.settings import NodeSettings

CAMERA = "/pipeline_camera"
OPTIONS = LocalizerOptions(
    LocalizerSettings(min_confidence=0.0), ConsensusSettings(), PlaceFilterSettings()
)
SESSION = SessionOptions(KeyframeSettings(), LoopClosureSettings())
S = 1_000_000_000


class Robot:
    """A pipeline with a camera and an odometry for it."""

    def __init__(self, peer, settings: NodeSettings) -> None:
        self.peer, self.second = peer, 0
        self.node = GuardedLifecycleNode("pipeline_node")
        peer.executor.add_node(self.node)
        self.pipeline = Pipeline(self.node, settings, OPTIONS, SESSION)
        self.node.trigger_configure()
        self.node.trigger_activate()
        self.pipeline.start()
        self.camera = peer.node.create_publisher(Image, CAMERA, 10)
        self.odom = peer.node.create_publisher(Odometry, "odom", 10)
        for publisher in (self.camera, self.odom):
            peer.wait_for(publisher.get_subscription_count, publisher.topic_name)

    def counts(self) -> Any:
        return self.pipeline.statistics[CAMERA].counts()

    def look(self, file: Path, **wrong: Any) -> None:
        """Send an image, and wait until it is accounted for."""
        self.second += 1
        pixels = read_image(file)
        height, width, _ = pixels.shape
        message = Image(height=height, width=width, encoding="rgb8", step=3 * width)
        message.data = array("B", pixels.tobytes())
        message.header.stamp = stamp_from_ns(self.second * S)
        for field, value in wrong.items():
            setattr(message, field, value)
        received = self.counts().received
        self.camera.publish(message)
        self.peer.wait_for(lambda: self.counts().received > received, "the image")
        self.peer.wait_for(lambda: self.counts().waiting == 0, "its end")
        # An answer counts as soon as it is published, before tf map → odom follows it.
        rest = self.pipeline._worker.call(lambda: None)
        self.peer.wait_for(rest.done, "all that follows from it")

    def move(self, x: float, later_s: float = 1.0) -> None:
        message = Odometry(child_frame_id="base_footprint")
        message.header.frame_id = "odom"
        message.header.stamp = stamp_from_ns(round((self.second + later_s) * S))
        message.pose.pose.position.x = x
        message.pose.pose.orientation = quaternion_from_yaw(0.0)
        self.odom.publish(message)

    def close(self) -> None:
        self.pipeline.close()
        for publisher in (self.camera, self.odom):
            self.peer.node.destroy_publisher(publisher)
        self.peer.executor.remove_node(self.node)
        self.node.destroy_node()


@pytest.fixture
def settings(corridor_map: Path) -> NodeSettings:
    return NodeSettings(
        map=str(corridor_map), device="cpu", cameras=(CAMERA,), image_reliability="reliable"
    )


@pytest.fixture
def robot(peer, settings: NodeSettings) -> Iterator[Robot]:
    made = Robot(peer, settings)
    yield made
    made.close()


def test_every_image_ends_as_answered_or_failed(peer, robot: Robot, places: Records) -> None:
    statuses = peer.collect(DiagnosticArray, "/pipeline_node/status")
    peer.wait_for(lambda: robot.node.count_subscribers("/pipeline_node/status"), "the reader")
    robot.look(places.images[4])
    robot.look(places.images[4], encoding="rgb9")
    robot.look(places.images[4], step=1)
    counts = robot.counts()
    assert (counts.received, counts.answered, counts.failed) == (3, 1, 2)
    peer.wait_for(lambda: statuses, "the answer")
    assert statuses[0].status[0].message.startswith("LOCALIZED")
    assert robot.node.callback_failures.counts().total == 0


def test_one_buffer_of_odometry_is_read_by_localizer_and_session(
    peer, robot: Robot, places: Records
) -> None:
    robot.move(1.0)
    peer.wait_for(lambda: robot.pipeline.odometry.heard, "the odometry")
    assert robot.pipeline.loaded.localizer.odometry is robot.pipeline.odometry
    robot.pipeline.reload_map(str(robot.pipeline.loaded.place_map.path))
    assert robot.pipeline.loaded.localizer.odometry is robot.pipeline.odometry
    robot.move(float("nan"))
    peer.wait_for(lambda: robot.pipeline.odometry_dropped == 1, "the count")
    robot.look(places.images[0])


def test_a_sequence_follows_on_from_a_pose_estimate(peer, robot: Robot, places: Records) -> None:
    options = OPTIONS._replace(localizer=LocalizerSettings(sequence=True, verification_ms=0))
    robot.pipeline.adopt(options)
    robot.look(places.images[9])
    unsure = robot.pipeline.localize_newest().estimate.confidence
    robot.pipeline.forget()
    publisher = peer.node.create_publisher(PoseWithCovarianceStamped, "initialpose", 10)
    peer.wait_for(publisher.get_subscription_count, "the subscription")
    given = PoseWithCovarianceStamped()
    given.header.frame_id = "map"
    given.pose.pose.position.x, given.pose.pose.position.y = places.position[9, :2]
    given.pose.pose.orientation.w = 1.0
    publisher.publish(given)
    tracker = robot.pipeline.loaded.localizer._sequence._tracker
    peer.wait_for(lambda: tracker._filter._off_map < 0.5, "the pose")
    robot.look(places.images[9])
    assert robot.pipeline.localize_newest().estimate.confidence > unsure
    robot.look(places.images[4], step=1)
    with pytest.raises(ImageError, match="step"):
        robot.pipeline.localize_newest()
    peer.node.destroy_publisher(publisher)


@pytest.mark.slow  # messages are compiled
def test_map_to_odom_goes_to_the_pose_in_small_steps_unless_a_jump_was_announced(
    peer, tf2_messages, settings: NodeSettings, places: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    del tf2_messages
    monkeypatch.setattr(tf2_topics, "TFMessage", importlib.import_module("tf2_msgs.msg").TFMessage)
    transforms = peer.collect(tf2_topics.TFMessage, "/tf", tf2_topics.TF_QOS)
    statuses = peer.collect(DiagnosticArray, "/pipeline_node/status")
    poses = peer.collect(PoseWithCovarianceStamped, "/pipeline_node/pose")
    made = Robot(peer, dataclasses.replace(settings, publish_map_to_odom=True))
    peer.wait_for(lambda: made.node.count_subscribers("/pipeline_node/pose"), "the reader")
    steps: list[tuple[float, bool]] = []

    def drive(place: int, odometry: float) -> bool:
        """Look at a place, then drive on for a second; return whether a jump was announced."""
        made.move(odometry)
        peer.wait_for(lambda: made.pipeline.odometry.at((made.second + 1) * S), "the odometry")
        made.look(places.images[place])
        peer.wait_for(lambda: len(statuses) == len(poses) == made.second, "pose and status")
        jumps = values_of(statuses[-1].status[0])["relocalized"] == "True"
        for tenth in range(1, 10):
            before = len(transforms)
            made.move(odometry, 0.1 * tenth)
            peer.wait_for(lambda: len(transforms) > before, "the transform")  # noqa: B023
            steps.append((transforms[-1].transforms[0].transform.translation.x, jumps))
            jumps = False
        return bool(values_of(statuses[-1].status[0])["relocalized"] == "True")

    # Places are 5 m apart, and odometry errs by a tenth.
    assert [drive(place, 5.5 * place) for place in range(8)] == [True] + 7 * [False]
    error_m = poses[-1].pose.pose.position.x - places.position[7, 0]
    assert abs(error_m) < 2.5
    # Carried off: odometry stands.
    assert any(drive(16 + image, 38.5 + 5.0 * image) for image in range(4))
    assert poses[-1].pose.pose.position.x > 70.0
    changes = np.abs(np.diff([x for x, _ in steps]))
    announced = np.array([jump for _, jump in steps[1:]])
    assert changes[~announced].max() <= 0.2 + 1e-6  # 0.1 m per 100 ms, 0.2 s from drive to drive
    assert changes[announced].max() > 30.0
    made.close()


def test_without_an_image_there_is_no_newest(robot: Robot) -> None:
    with pytest.raises(UsageError, match="no image has come yet"):
        robot.pipeline.localize_newest()


def test_a_map_that_does_not_open_leaves_the_present_one(
    robot: Robot, places: Records, tmp_path: Path
) -> None:
    before = robot.pipeline.loaded
    with pytest.raises(DataError, match=r"nowhere\.progeo"):
        robot.pipeline.reload_map(str(tmp_path / "nowhere.progeo"))
    assert robot.pipeline.loaded is before
    robot.look(places.images[0])
    assert robot.counts().answered == 1


def test_what_was_mapped_is_localized_in(
    peer, robot: Robot, places: Records, tmp_path: Path
) -> None:
    assert robot.pipeline.finish_mapping() == "nothing was mapped"
    path = str(tmp_path / "new.progeo")
    assert robot.pipeline.session.begin(path) == f"mapping: {path}"
    # Without a sure answer, a new map begins where the odometry does.
    for metre in range(3):
        robot.move(2.0 * metre)
        peer.wait_for(lambda: robot.pipeline.odometry.at((robot.second + 1) * S) is not None)
        robot.look(places.images[metre])
    said = robot.pipeline.finish_mapping()
    assert said == f"{path}: 3 places, in use from now on"
    assert robot.pipeline.loaded.places == 3


def test_a_failure_behind_the_answer_is_counted_and_the_next_image_is_answered(
    robot: Robot, places: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise MemoryError("all of it")

    monkeypatch.setattr(robot.pipeline.session, "add_image", fail)
    robot.look(places.images[0])
    robot.look(places.images[1])
    robot.pipeline.forget()
    assert robot.counts().answered == 2
    counts = robot.node.callback_failures.counts()
    assert counts.total == 2
    assert "MemoryError: all of it" in counts.last


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"map": ""}, "parameter map is empty"),
        ({"cameras": ("/a b",)}, "parameter cameras: '/a b'"),
        ({"cameras": ()}, "cameras is empty"),
    ],
)
def test_what_is_missing_is_said_before_the_model_is_loaded(
    peer, settings: NodeSettings, change: dict[str, Any], complaint: str
) -> None:
    del peer
    node = GuardedLifecycleNode("nothing")
    given = {**vars(settings), "model": "no-such-model", **change}
    with pytest.raises(UsageError, match=complaint):
        Pipeline(node, NodeSettings(**given), OPTIONS, SESSION)
    node.destroy_node()
