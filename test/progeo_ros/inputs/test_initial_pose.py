"""The topic of RViz's "2D Pose Estimate": what it says, and whose poses are no news."""

import math

import numpy as np
import pytest
from geometry_msgs.msg import PoseWithCovarianceStamped

from progeo_ros.conversions import quaternion_from_yaw, stamp_from_ns
from progeo_ros.inputs.initial_pose import InitialPose, InitialPoseInput, read_initial_pose

OWN_NS = 7_000_000_000


def pose_estimate(x: float = 3.0, frame: str = "map") -> PoseWithCovarianceStamped:
    """Return what RViz sends: no certainty about height, roll and pitch."""
    message = PoseWithCovarianceStamped()
    message.header.frame_id = frame
    message.pose.pose.position.x, message.pose.pose.position.y = x, -4.0
    message.pose.pose.orientation = quaternion_from_yaw(0.5)
    message.pose.covariance = np.diag([0.25, 0.25, 0, 0, 0, 0.0685]).ravel()
    return message


@pytest.mark.parametrize("frame", ["map", "/map", ""])
def test_position_direction_and_their_covariance_are_read(frame: str) -> None:
    read = read_initial_pose(pose_estimate(frame=frame), "map")
    assert isinstance(read, InitialPose)
    np.testing.assert_allclose(read.pose, [3.0, -4.0, 0.5])
    np.testing.assert_array_equal(read.covariance, np.diag([0.25, 0.25, 0.0685]))


def test_what_gives_no_pose_in_the_map_is_explained() -> None:
    assert "in frame 'odom', not 'map'" in str(
        read_initial_pose(pose_estimate(frame="odom"), "map")
    )
    assert "no finite position" in str(read_initial_pose(pose_estimate(math.nan), "map"))
    unturned, uncertain = pose_estimate(), pose_estimate()
    unturned.pose.pose.orientation.z = unturned.pose.pose.orientation.w = 0.0
    assert "no rotation" in str(read_initial_pose(unturned, "map"))
    uncertain.pose.covariance[0] = -1.0
    assert "covariance" in str(read_initial_pose(uncertain, "map"))


def test_poses_of_the_node_itself_that_come_back_are_no_news(peer) -> None:
    taken: list[InitialPose] = []
    source = InitialPoseInput(peer.node, "map", taken.append, lambda stamp_ns: stamp_ns == OWN_NS)
    publisher = peer.node.create_publisher(PoseWithCovarianceStamped, "initialpose", 10)
    peer.wait_for(publisher.get_subscription_count, "the subscription")
    own = pose_estimate(x=1.0)
    own.header.stamp = stamp_from_ns(OWN_NS)
    for message in (own, pose_estimate(x=2.0, frame="odom"), pose_estimate(x=3.0)):
        publisher.publish(message)
    peer.wait_for(lambda: taken, "the pose")
    assert [given.pose[0] for given in taken] == [3.0]
    source.destroy()
    peer.node.destroy_publisher(publisher)
