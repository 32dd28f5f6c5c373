"""The relay in a process of its own, between a localizer and a tracker that gets lost."""

import signal
import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseWithCovarianceStamped
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_srvs.srv import Trigger

from progeo_core.poses.pose_estimate import UNOBSERVED_VARIANCE, PoseEstimate
from progeo_ros.conversions import pose_message
from progeo_ros.replay.live_replay import values_of

pytestmark = pytest.mark.slow  # every test waits for DDS

NODE = "/progeo_pose_relay"
# As AMCL publishes where it believes to be.
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
S = 1_000_000_000
# The robot stands here.
HERE, YAW = np.array([10.0, 5.0, 1.0]), 0.5


def message(second: int, x: float, yaw_variance: float = 0.1) -> PoseWithCovarianceStamped:
    variance = [0.25, 0.25, 0.25, UNOBSERVED_VARIANCE, UNOBSERVED_VARIANCE, yaw_variance]
    estimate = PoseEstimate(np.array([x, *HERE[1:]]), YAW, np.diag(variance), 0.95)
    return pose_message(estimate, second * S, "map")


class Robot:
    """Says where it is, by images and by laser, and hears what the relay makes of it."""

    def __init__(self, peer) -> None:
        self.peer, self.second = peer, 1000
        kind = PoseWithCovarianceStamped
        self.localizer = peer.node.create_publisher(kind, "/progeo_localizer/pose", 10)
        self.tracker = peer.node.create_publisher(kind, "/amcl_pose", LATCHED)
        self.starts = peer.collect(kind, "/initialpose", 10)
        self.poses = peer.collect(kind, "/global_pose", 10)
        self.health: dict[str, str] = {}
        peer.node.create_subscription(DiagnosticArray, "/diagnostics", self._on_health, 10)
        for publisher in (self.localizer, self.tracker):
            peer.wait_for(publisher.get_subscription_count, publisher.topic_name)
        for topic in ("/initialpose", "/global_pose"):
            peer.wait_for(lambda topic=topic: peer.node.count_publishers(topic), topic)

    def _on_health(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name == "progeo_pose_relay: relay":
                self.health = values_of(status)

    def locate(self, x: float, times: int = 1, yaw_variance: float = 0.1) -> None:
        """Tell a pose once a second; each has passed the relay when this returns."""
        for _ in range(times):
            self.second += 1
            passed = len(self.poses)
            self.localizer.publish(message(self.second, x, yaw_variance))
            self.peer.wait_for(lambda passed=passed: len(self.poses) > passed, "global_pose")

    def track(self, x: float) -> None:
        """Tell where the laser places the robot, and a pose after it that comes to nothing."""
        self.tracker.publish(message(self.second, x))
        for _ in range(20):
            self.peer.executor.spin_once(timeout_sec=0.05)
        self.locate(x, yaw_variance=UNOBSERVED_VARIANCE)


@pytest.fixture(scope="module")
def robot(dds_domain, peer) -> Iterator[Robot]:
    del dds_domain
    remapped = {"pose": "/progeo_localizer/pose", "tracked_pose": "/amcl_pose"}
    arguments = [item for pair in remapped.items() for item in ("-r", ":=".join(pair))]
    command = [sys.executable, "-m", "progeo_ros.start", "progeo_pose_relay", "--ros-args"]
    with subprocess.Popen([*command, *arguments, "-p", "base_frame:=base_footprint"]) as process:
        yield Robot(peer)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0


def test_every_pose_becomes_a_global_pose_of_the_base(robot: Robot) -> None:
    robot.locate(10.0)
    sent, passed = message(robot.second, 10.0), robot.poses[-1]
    assert passed.header.frame_id == "base_footprint"
    assert passed.header.stamp == sent.header.stamp
    assert passed.pose == sent.pose


def test_a_tracker_that_never_spoke_is_started_once(robot: Robot) -> None:
    robot.locate(10.0, times=5)
    robot.peer.wait_for(lambda: robot.starts, "initialpose")
    (start,) = robot.starts
    # As AMCL wants it: in its global frame, at the time of the image.
    assert start.header.frame_id == "map"
    assert start.header.stamp.sec == 1003
    assert start.pose == message(1003, 10.0).pose


def test_only_a_lost_tracker_is_started_again(robot: Robot) -> None:
    robot.starts.clear()
    robot.track(10.4)
    robot.locate(10.0, times=20)
    assert not robot.starts
    robot.track(60.0)
    robot.locate(10.0, times=3)
    robot.peer.wait_for(lambda: robot.starts, "initialpose")
    assert len(robot.starts) == 1


def test_the_tracker_is_started_on_request(robot: Robot) -> None:
    robot.track(10.0)
    robot.starts.clear()
    assert robot.peer.call(Trigger, f"{NODE}/start_tracker").success
    robot.locate(10.0)
    robot.peer.wait_for(lambda: robot.starts, "initialpose")


def test_poses_that_are_no_numbers_are_counted_and_go_nowhere(robot: Robot) -> None:
    passed = len(robot.poses)
    for bad in (float("nan"), float("inf"), 1e308):
        robot.localizer.publish(message(robot.second, bad))
        robot.tracker.publish(message(robot.second, bad))
    robot.peer.wait_for(lambda: robot.health.get("poses_dropped") == "3", "the count")
    assert len(robot.poses) == passed
    robot.locate(10.0)
    robot.peer.wait_for(lambda: int(robot.health["poses"]) == passed + 1, "the next one")
    assert robot.health["callback_failures"] == "0"


def test_an_unknown_parameter_stops_the_node(dds_domain) -> None:
    command = [sys.executable, "-m", "progeo_ros.start", "progeo_pose_relay", "--ros-args"]
    ended = subprocess.run(
        [*command, "-p", "tracking.distance:=1.0"], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2
    assert "tracking.distance" in ended.stderr
