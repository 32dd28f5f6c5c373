import numpy as np
import pytest
from visualization_msgs.msg import Marker

from progeo_core.poses.pose_estimate import UNOBSERVED_VARIANCE
from progeo_core.poses.pose_messages import yaw_from_quaternion
from progeo_core.poses.transform import Transform
from progeo_core.slam.keyframes import Keyframe
from progeo_core.slam.loop_closure import LoopClosure
from progeo_core.slam.loop_pose import RelativePose
from progeo_ros.conversions import stamp_to_ns
from progeo_ros.outputs.loop_messages import (
    keyframe_frame,
    keyframe_stamp,
    loop_markers,
    loop_message,
)

STAMP = 1_700_000_000_000_000_042


def closure(segment: int = 0) -> LoopClosure:
    query = Keyframe(9, STAMP, np.array([3.0, 1.0, 0.1]), 1, True, 9.0)
    match = Keyframe(0, 5_000_000_007, np.array([2.0, 1.0, 0.0]), segment, True, 0.0)
    covariance = np.diag([1.0, 2.0, *[UNOBSERVED_VARIANCE] * 3, 0.07])
    return LoopClosure(
        query, match, 0.5, 30.0, 5, RelativePose(np.array([1, 0.5, 0.1]), covariance)
    )


def test_a_closure_is_the_pose_of_the_query_in_the_keyframe() -> None:
    message = loop_message(closure(), "base_link")
    assert message.header.frame_id == "keyframe_5_7"
    assert stamp_to_ns(message.header.stamp) == STAMP
    assert message.child_frame_id == "base_link"
    assert message.pose.pose.position.y == 0.5
    assert yaw_from_quaternion(message.pose.pose.orientation) == pytest.approx(0.1)
    for covariance in (message.pose.covariance, message.twist.covariance):
        assert np.diag(np.array(covariance).reshape(6, 6)).min() > 0.0


def test_a_pose_in_six_degrees_of_freedom_is_sent_as_it_is() -> None:
    full = Transform(np.array([1.0, 0.5, 0.2]), np.array([0.1, -0.1, 0.1, 0.985]))
    relative = closure().relative._replace(full=full)
    message = loop_message(closure()._replace(relative=relative), "base_link")
    assert message.pose.pose.position.z == 0.2
    assert message.pose.pose.orientation.y == -0.1
    assert message.pose.pose.orientation.w == 0.985


def test_the_frame_carries_the_stamp() -> None:
    assert keyframe_stamp(keyframe_frame(STAMP)) == STAMP
    digits = "9" * 5000
    for other in (
        "map",
        "keyframe_",
        "keyframe_1",
        "keyframe_a_b",
        "keyframe_1_-2",
        "keyframe_²_1",
    ):
        assert keyframe_stamp(other) == 0
    for other in (f"keyframe_{digits}_0", f"keyframe_0_{digits}", f"map_keyframe_1_2{digits}"):
        assert keyframe_stamp(other) == 0


def test_lines_join_places_of_one_odometry_only() -> None:
    (lines,) = loop_markers([closure(segment=1), closure(segment=0)], "odom").markers
    assert len(lines.points) == 2
    assert lines.points[0].x == 3.0
    (none,) = loop_markers([closure(segment=0)], "odom").markers
    assert none.action == Marker.DELETE
