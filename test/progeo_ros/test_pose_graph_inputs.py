"""Messages of a session that become a pose graph, in order, late, and unusable."""

import numpy as np
import pytest
from geometry_msgs.msg import PoseWithCovarianceStamped
from nav_msgs.msg import Odometry

from progeo_core.slam.pose_graph import OptimizedTrajectory, PoseGraphSettings
from progeo_ros.conversions import quaternion_from_yaw, stamp_from_ns
from progeo_ros.inputs.odometry import OdometryPose
from progeo_ros.outputs.loop_messages import keyframe_frame
from progeo_ros.pose_graph_inputs import (
    PoseGraphInputs,
    corrected,
    loop_constraint,
    pose_prior,
)

pytest.importorskip("gtsam", reason="the pose graph is an extra: pip install gtsam")

S = 1_000_000_000
COVARIANCE = np.diag([0.3, 0.3, 1e6, 1e6, 1e6, 0.1])


def odometry(second: float, x: float = 0.0, yaw: float = 0.0) -> OdometryPose:
    return OdometryPose(int(second * S), (x, 0.0, 0.0), yaw, "odom", "base_link")


def loop(match: float, query: float, covariance: np.ndarray = COVARIANCE) -> Odometry:
    message = Odometry()
    message.header.frame_id = keyframe_frame(int(match * S))
    message.header.stamp = stamp_from_ns(int(query * S))
    message.pose.pose.orientation = quaternion_from_yaw(0.5)
    message.pose.covariance = covariance.ravel()
    return message


def prior(second: float, x: float = 1.0, covariance: np.ndarray = COVARIANCE):
    message = PoseWithCovarianceStamped()
    message.header.stamp = stamp_from_ns(int(second * S))
    message.pose.pose.position.x = x
    message.pose.pose.orientation = quaternion_from_yaw(0.5)
    message.pose.covariance = covariance.ravel()
    return message


@pytest.fixture
def inputs() -> PoseGraphInputs:
    """Return ten seconds of odometry at 1 m/s."""
    driven = PoseGraphInputs(PoseGraphSettings())
    for second in range(1, 11):
        driven.add_odometry(odometry(second, float(second)))
    return driven


def test_a_closure_is_read_with_its_stamps_pose_and_covariance() -> None:
    read = loop_constraint(loop(1, 9))
    assert (read.from_ns, read.to_ns) == (1 * S, 9 * S)
    assert read.relative == pytest.approx([0.0, 0.0, 0.5])
    assert read.covariance.diagonal() == pytest.approx([0.3, 0.3, 0.1])


@pytest.mark.parametrize("scale", [0.0, -1.0, 1e13, 1e308, np.inf, np.nan])
def test_a_covariance_that_says_nothing_is_refused(scale: float) -> None:
    covariance = np.diag(np.full(6, scale))
    assert loop_constraint(loop(1, 9, covariance)) is None
    assert pose_prior(prior(5, covariance=covariance)) is None


def test_a_closure_of_no_time_or_with_itself_is_refused() -> None:
    assert loop_constraint(loop(0, 9)) is None
    assert loop_constraint(loop(9, 9)) is None
    assert pose_prior(prior(0)) is None
    assert pose_prior(prior(5, x=1e300)) is None


def test_what_comes_before_its_odometry_waits_for_it(inputs: PoseGraphInputs) -> None:
    inputs.add(loop_constraint(loop(3, 12)))
    inputs.add(pose_prior(prior(11)))
    assert (inputs.counts.waiting, inputs.counts.loops, inputs.counts.priors) == (2, 0, 0)
    for second in (11, 12):
        inputs.add_odometry(odometry(second, float(second)))
    counts = inputs.counts
    assert counts.waiting == 0
    assert counts.priors == 1
    assert counts.loops + counts.refused == 1


def test_what_waits_for_ever_gives_way(inputs: PoseGraphInputs) -> None:
    for _ in range(1500):
        inputs.add(pose_prior(prior(2**31 - 1)))
    assert (inputs.counts.waiting, inputs.counts.refused) == (1000, 500)


def test_time_that_restarts_begins_another_session(inputs: PoseGraphInputs) -> None:
    inputs.add(None)
    inputs.add(pose_prior(prior(5)))
    assert not inputs.add_odometry(odometry(9.5)), "only late"
    assert inputs.add_odometry(odometry(1))
    counts = inputs.counts
    assert (counts.restarts, counts.refused, counts.priors, counts.segments) == (1, 1, 0, 0)
    assert inputs.graph.newest_ns == 1 * S


def test_a_jump_of_the_odometry_is_another_segment(inputs: PoseGraphInputs) -> None:
    inputs.add_odometry(odometry(11, 900.0))
    assert inputs.counts.segments == 1


def test_a_pose_is_corrected_by_the_newest_transform() -> None:
    solved = OptimizedTrajectory(
        np.array([S]),
        np.array([[10.0, 0.0, np.pi / 2]]),
        np.array([[1.0, 0.0, 0.0]]),
        np.zeros(0, bool),
        np.zeros(0, bool),
    )
    pose = odometry(2, 3.0)
    assert corrected(pose, None) == pytest.approx([3.0, 0.0, 0.0])
    assert corrected(pose, solved) == pytest.approx([10.0, 2.0, np.pi / 2])
