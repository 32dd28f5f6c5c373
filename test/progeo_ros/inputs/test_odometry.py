import math

import pytest
from nav_msgs.msg import Odometry

from progeo_ros.conversions import quaternion_from_yaw, stamp_from_ns
from progeo_ros.inputs.odometry import OdometryInput, OdometryPose, read_odometry


def odometry(x: float = 1.0, yaw_rad: float = 0.5, stamp_ns: int = 5_000_000_000) -> Odometry:
    message = Odometry()
    message.header.stamp = stamp_from_ns(stamp_ns)
    message.header.frame_id = "odom"
    message.pose.pose.position.x = x
    message.pose.pose.orientation = quaternion_from_yaw(yaw_rad)
    return message


def test_odometry_is_read_as_a_planar_pose() -> None:
    read = read_odometry(odometry())
    assert (read.stamp_ns, read.frame) == (5_000_000_000, "odom")
    assert read.position == (1.0, 0.0, 0.0)
    assert read.planar == pytest.approx([1.0, 0.0, 0.5])


def test_bad_odometry_is_counted_and_left_out(peer) -> None:
    taken: list[OdometryPose] = []
    source = OdometryInput(peer.node, taken.append)
    publisher = peer.node.create_publisher(Odometry, "odom", 10)
    peer.wait_for(publisher.get_subscription_count, "the subscription")
    no_rotation = odometry()
    no_rotation.pose.pose.orientation.w = no_rotation.pose.pose.orientation.z = 0.0
    for message in (odometry(math.nan), odometry(stamp_ns=0), no_rotation, odometry(2.0)):
        publisher.publish(message)
    peer.wait_for(lambda: taken, "good odometry")
    assert [pose.position[0] for pose in taken] == [2.0]
    assert source.dropped == 3
    source.destroy()
    peer.wait_for(lambda: not publisher.get_subscription_count(), "the end of the subscription")
