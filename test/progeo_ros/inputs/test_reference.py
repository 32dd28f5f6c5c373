"""Positions of another system, over DDS: which count, and which are only counted."""

import math
from typing import Any

import pytest
from geometry_msgs.msg import PoseStamped, PoseWithCovarianceStamped
from nav_msgs.msg import Odometry
from sensor_msgs.msg import NavSatFix

from progeo_core.poses.pose_messages import PoseReading
from progeo_ros.conversions import quaternion_from_yaw, stamp_from_ns
from progeo_ros.inputs.reference import ReferenceInput

KINDS = {
    "pose": PoseStamped,
    "pose_with_covariance": PoseWithCovarianceStamped,
    "odometry_reference": Odometry,
}


def stamped(message: Any, second: int = 5) -> Any:
    message.header.stamp = stamp_from_ns(second * 1_000_000_000)
    return message


def fix(latitude: float = 48.0, longitude: float = 11.0, status: int = 0) -> NavSatFix:
    message = stamped(NavSatFix(latitude=latitude, longitude=longitude, altitude=500.0))
    message.status.status = status
    return message


class Listener:
    """Reference input with a publisher for it, and what it delivers."""

    def __init__(self, peer, kind: str, message_type: Any, topic: str) -> None:
        self.peer, self.taken = peer, list[PoseReading]()
        self.source = ReferenceInput(peer.node, kind, self.taken.append)
        self.publisher = peer.node.create_publisher(message_type, topic, 10)
        peer.wait_for(self.publisher.get_subscription_count, "the subscription")

    def hear(self, *messages: Any) -> list[PoseReading]:
        """Publish messages, each when the last one has come; return what is delivered."""
        for number, message in enumerate(messages, 1):
            self.publisher.publish(message)
            self.peer.wait_for(
                lambda number=number: len(self.taken) + self.source.dropped == number
            )
        return self.taken

    def stop(self) -> None:
        self.source.destroy()
        self.peer.wait_for(lambda: not self.publisher.get_subscription_count(), "the end")
        self.peer.node.destroy_publisher(self.publisher)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_pose_is_delivered_and_others_are_counted(peer, kind: str) -> None:
    listener = Listener(peer, kind, KINDS[kind], "pose_reference")

    def message(x: float, second: int = 5) -> Any:
        made = stamped(KINDS[kind](), second)
        pose = made.pose if kind == "pose" else made.pose.pose
        pose.position.x, pose.orientation = x, quaternion_from_yaw(0.5)
        return made

    taken = listener.hear(message(math.nan), message(1.0, second=0), message(1e300), message(2.0))
    (reading,) = taken
    assert (reading.stamp_ns, reading.position) == (5_000_000_000, (2.0, 0.0, 0.0))
    assert reading.yaw_rad == pytest.approx(0.5)
    assert listener.source.dropped == 3
    listener.stop()


def test_only_fixes_are_delivered_and_others_are_counted(peer) -> None:
    listener = Listener(peer, "fix", NavSatFix, "fix_reference")
    bad = [fix(latitude=91.0), fix(status=-2), fix(status=-1), fix(0.0, 0.0), fix(math.nan)]
    (reading,) = listener.hear(*bad, fix())
    assert reading.position == (48.0, 11.0, 500.0)
    assert math.isnan(reading.yaw_rad)
    assert listener.source.dropped == len(bad)
    listener.stop()
