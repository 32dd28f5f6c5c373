"""The pose graph node in a process of its own, told of a drive message by message."""

import importlib
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import Point, Pose, PoseWithCovarianceStamped, TransformStamped
from nav_msgs.msg import Odometry
from nav_msgs.msg import Path as PathMessage
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile

from progeo_core.poses.planar_pose import between, compose
from progeo_core.poses.pose_messages import yaw_from_quaternion
from progeo_ros import tf2_topics
from progeo_ros.conversions import quaternion_from_yaw, stamp_from_ns, stamp_to_ns
from progeo_ros.outputs.loop_messages import keyframe_frame
from progeo_ros.pose_graph_node import PoseGraphNode
from progeo_ros.replay.live_replay import values_of
from test.drifting_drive import LAP, SIGMA, ate, drifting, stamp, two_laps

pytestmark = pytest.mark.slow  # every test waits for DDS

pytest.importorskip("gtsam", reason="the pose graph is an extra: pip install gtsam")

LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
NODE = "/progeo_pose_graph"
# A bag played again: its stamps lie half a second before those of the first time.
HALF_BEFORE = -stamp(0) // 2


def pose_of(planar: np.ndarray) -> Pose:
    x, y, yaw = (float(value) for value in planar)
    return Pose(position=Point(x=x, y=y, z=0.0), orientation=quaternion_from_yaw(yaw))


def planar_of(pose: Pose) -> list[float]:
    return [pose.position.x, pose.position.y, yaw_from_quaternion(pose.orientation)]


def covariance() -> np.ndarray:
    """Return a covariance [36] that knows x, y and yaw."""
    return np.diag([*SIGMA[:2] ** 2, 1e6, 1e6, 1e6, SIGMA[2] ** 2]).ravel()


def closure(match: int, query: int, offset_ns: int = 0) -> Odometry:
    message = Odometry(child_frame_id="base_link")
    message.header.frame_id = keyframe_frame(stamp(match) + offset_ns)
    message.header.stamp = stamp_from_ns(stamp(query) + offset_ns)
    message.pose.covariance = covariance()
    return message


class Driver:
    """Sends odometry, closures and map poses, and keeps what comes back."""

    def __init__(self, peer) -> None:
        self.peer = peer
        node = peer.node
        self.odom = node.create_publisher(Odometry, "/odom", 500)
        self.loops = node.create_publisher(Odometry, "/loop_closure", 500)
        self.poses = node.create_publisher(PoseWithCovarianceStamped, "/pose", 500)
        self.paths = peer.collect(PathMessage, f"{NODE}/path", LATCHED)
        self.corrected = peer.collect(Odometry, f"{NODE}/odometry", 500)
        self.transforms = peer.collect(TransformStamped, f"{NODE}/map_to_odom", LATCHED)
        self.values: dict[str, str] = {}
        node.create_subscription(DiagnosticArray, "/diagnostics", self._on_health, 10)
        for publisher in (self.odom, self.loops, self.poses):
            peer.wait_for(publisher.get_subscription_count, publisher.topic_name)

    def _on_health(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name == "progeo_pose_graph: drive":
                self.values = values_of(status)

    def count(self, name: str) -> int:
        return int(self.values.get(name, -1))

    def move(self, row: int, planar: np.ndarray, offset_ns: int = 0) -> None:
        message = Odometry(child_frame_id="base_link")
        message.header.frame_id = "odom"
        message.header.stamp = stamp_from_ns(stamp(row) + offset_ns)
        message.pose.pose = pose_of(planar)
        before = len(self.corrected)
        self.odom.publish(message)
        self.peer.wait_for(lambda: len(self.corrected) > before, f"the corrected pose {row}")

    def close(self, match: int, query: int, relative: np.ndarray, offset_ns: int = 0) -> None:
        message = closure(match, query, offset_ns)
        message.pose.pose = pose_of(relative)
        self.loops.publish(message)

    def locate(
        self, row: int, planar: np.ndarray, offset_ns: int = 0, variance: float | None = None
    ) -> None:
        message = PoseWithCovarianceStamped()
        message.header.frame_id = "map"
        message.header.stamp = stamp_from_ns(stamp(row) + offset_ns)
        message.pose.pose = pose_of(planar)
        message.pose.covariance = covariance() if variance is None else np.full(36, variance)
        self.poses.publish(message)


@pytest.fixture(scope="module")
def truth(campus_loop: Path) -> np.ndarray:
    return two_laps(campus_loop)


@pytest.fixture(scope="module")
def process(dds_domain) -> Iterator[subprocess.Popen[bytes]]:
    del dds_domain
    arguments = ["--ros-args", "-p", "use_pose:=true", "-p", "period_s:=0.1"]
    with subprocess.Popen(
        [sys.executable, "-m", "progeo_ros.start", "progeo_pose_graph", *arguments]
    ) as started:
        yield started
        started.send_signal(signal.SIGINT)
        assert started.wait(60) == 0


@pytest.fixture(scope="module")
def driver(peer, process) -> Driver:
    del process
    return Driver(peer)


def test_closures_straighten_the_path_and_wrong_ones_do_not(
    driver: Driver, truth: np.ndarray
) -> None:
    rng = np.random.default_rng(0)
    odometry = drifting(truth, "middle", rng)
    wrong = 0
    for row, pose in enumerate(odometry):
        driver.move(row, pose)
        if row >= LAP:
            noise = rng.normal(size=3) * SIGMA / 2
            driver.close(row - LAP, row, between(truth[row - LAP], truth[row]) + noise)
        if row % 10 == 9:
            driver.close(int(rng.integers(row)), row, rng.normal(size=3) * SIGMA)
            wrong += 1
    last = driver.paths[-1:]
    driver.peer.wait_for(
        lambda: (
            driver.count("loops") + driver.count("refused") == LAP + wrong
            and driver.count("loops_used") >= 0.9 * LAP
            and driver.paths[-1:] != last
        ),
        "the straightened path",
    )
    assert driver.count("loops_used") <= LAP
    stamps = [pose.header.stamp.sec for pose in driver.paths[-1].poses]
    rows = np.searchsorted(stamps, [stamp(row) // 10**9 for row in range(2 * LAP)])
    path = np.array([planar_of(pose.pose) for pose in driver.paths[-1].poses])
    before, after = ate(odometry, truth), ate(path[rows], truth)
    assert after < before / 5.0
    origin = driver.transforms[-1].transform
    turn = yaw_from_quaternion(origin.rotation)
    placed = compose([origin.translation.x, origin.translation.y, turn], odometry[-1])
    assert placed == pytest.approx(path[-1], abs=1e-6)


def test_bad_messages_are_counted_and_the_node_lives(driver: Driver, truth: np.ndarray) -> None:
    refused, dropped = driver.count("refused"), driver.count("odometry_dropped")
    driver.close(3, 2 * LAP - 1, np.full(3, np.nan))
    for frame in ("not_a_keyframe", f"keyframe_{'9' * 5000}_0", "keyframe_-1_0", ""):
        message = closure(3, 2 * LAP - 1)
        message.header.frame_id = frame
        driver.loops.publish(message)
    for value in (1e308, -1.0, 0.0, np.inf, np.nan):
        message = closure(3, 2 * LAP - 1)
        message.pose.covariance = np.full(36, value)
        driver.loops.publish(message)
        driver.locate(3, truth[3], variance=value)
    driver.locate(3, np.array([1e308, 0.0, 0.0]))
    driver.odom.publish(Odometry())
    far = Odometry()
    far.header.stamp.sec = 2**31 - 1
    far.pose.pose.position.x = 1e308
    driver.odom.publish(far)
    driver.peer.wait_for(
        lambda: (
            driver.count("refused") == refused + 16
            and driver.count("odometry_dropped") == dropped + 2
        ),
        "the counts",
    )
    assert driver.count("callback_failures") == 0


def test_time_that_goes_back_begins_a_new_drive_placed_by_map_poses(
    driver: Driver, truth: np.ndarray
) -> None:
    rng = np.random.default_rng(1)
    odometry = drifting(truth, "low", rng)
    # The drive before it ended later than this one begins.
    driver.move(len(odometry) + 1, odometry[-1])
    for row in range(30):
        driver.move(row, odometry[row], HALF_BEFORE)
        if row % 3 == 0:
            driver.locate(row, truth[row], HALF_BEFORE)
    driver.peer.wait_for(lambda: driver.count("priors_used") == 10, "the map poses")
    assert driver.count("restarts") == 1
    assert driver.count("loops") == 0
    driver.move(30, odometry[30], HALF_BEFORE)
    found = planar_of(driver.corrected[-1].pose.pose)
    assert np.linalg.norm(np.array(found[:2]) - truth[30, :2]) < 1.0


def test_the_map_starts_where_odometry_does_and_never_jumps(
    peer, tf2_messages, truth: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    del tf2_messages
    kind: Any = importlib.import_module("tf2_msgs.msg").TFMessage
    monkeypatch.setattr(tf2_topics, "TFMessage", kind)
    transforms = peer.collect(kind, "/tf", tf2_topics.TF_QOS)
    paths = peer.collect(PathMessage, "/started_elsewhere/progeo_pose_graph/path", LATCHED)
    given = {"publish_map_to_odom": True, "period_s": 0.05, "transform_tolerance": 0.5}
    parameters = [Parameter(name, value=value) for name, value in given.items()]
    node = PoseGraphNode(namespace="started_elsewhere", parameter_overrides=parameters)
    peer.executor.add_node(node)
    odom = peer.node.create_publisher(Odometry, "/started_elsewhere/odom", 500)
    loops = peer.node.create_publisher(Odometry, "/started_elsewhere/loop_closure", 500)
    for publisher in (odom, loops):
        peer.wait_for(publisher.get_subscription_count, publisher.topic_name)
    # Odometry that was switched on before, somewhere else.
    start = np.array([40.0, -7.0, 2.0])
    odometry = compose(start, drifting(truth, "low", np.random.default_rng(2)))
    closed = 0

    def is_solved() -> bool:
        counts = node._inputs.counts
        known = counts.loops + counts.priors + counts.segments
        return counts.loops == closed and node._known == known and node._solving is None

    for row, pose in enumerate(odometry):
        if row == len(odometry) - 1:
            # These come faster than a robot drives, and maybe than they are solved.
            peer.wait_for(is_solved, "the correction by all closures so far")
        message = Odometry(child_frame_id="base_link")
        message.header.frame_id, message.header.stamp = "odom", stamp_from_ns(stamp(row))
        message.pose.pose = pose_of(pose)
        odom.publish(message)
        if row >= LAP:
            closed += 1
            seen = closure(row - LAP, row)
            seen.pose.pose = pose_of(between(truth[row - LAP], truth[row]))
            loops.publish(seen)
        peer.wait_for(lambda row=row: len(transforms) > row, f"the transform {row}")
    first = transforms[0].transforms[0]
    assert (first.header.frame_id, first.child_frame_id) == ("map", "odom")
    assert stamp_to_ns(first.header.stamp) == stamp(0) + 500_000_000
    moved = [one.transforms[0].transform for one in transforms]
    origins = np.array(
        [[one.translation.x, one.translation.y, yaw_from_quaternion(one.rotation)] for one in moved]
    )
    np.testing.assert_array_equal(origins[0], np.zeros(3))
    placed = compose(origins, odometry)
    # Corrections take the robot to where it is, not to another origin.
    there = compose(odometry[0], between(truth[0], truth))
    drift, left = (
        np.linalg.norm(found[:, :2] - there[:, :2], axis=1) for found in (odometry, placed)
    )
    assert left.max() <= drift.max()
    assert left[-1] < drift[-1] / 3
    peer.wait_for(lambda: paths, "the path")
    np.testing.assert_allclose(planar_of(paths[-1].poses[0].pose), odometry[0], atol=1e-3)
    peer.executor.remove_node(node)
    node.destroy_node()
