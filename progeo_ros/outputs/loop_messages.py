"""Loop closures as messages: one relative pose each, and lines between the places for RViz."""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np
from geometry_msgs.msg import Point, Pose, Quaternion, Vector3
from nav_msgs.msg import Odometry
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from progeo_core.poses.pose_estimate import UNOBSERVED_VARIANCE
from progeo_core.poses.pose_messages import nanoseconds
from progeo_core.slam.keyframes import Keyframe
from progeo_core.slam.loop_closure import LoopClosure
from progeo_core.slam.loop_pose import RelativePose
from progeo_ros.conversions import quaternion_from_yaw, stamp_from_ns

# No stamp of ROS has more digits.
_FRAME = re.compile(r"keyframe_([0-9]{1,10})_([0-9]{1,10})")
_NS_PER_S = 1_000_000_000
_BLUE = ColorRGBA(r=0.2, g=0.5, b=1.0, a=0.9)
_WIDTH_M = 0.1


def keyframe_frame(stamp_ns: int) -> str:
    """Return the frame of a keyframe: keyframe_<sec>_<nanosec> of its image."""
    return f"keyframe_{stamp_ns // _NS_PER_S}_{stamp_ns % _NS_PER_S}"


def keyframe_stamp(frame: str) -> int:
    """Return the stamp (ns) in the name of a keyframe's frame, 0 for any other name."""
    named = _FRAME.fullmatch(frame)
    return nanoseconds(int(named[1]), int(named[2])) if named else 0


def loop_message(closure: LoopClosure, base_frame: str) -> Odometry:
    """Return the pose of the base at the query's time in the frame of the matched keyframe."""
    message = Odometry()
    message.header = Header(
        stamp=stamp_from_ns(closure.query.stamp_ns),
        frame_id=keyframe_frame(closure.match.stamp_ns),
    )
    message.child_frame_id = base_frame
    message.pose.pose = _relative_message(closure.relative)
    message.pose.covariance = closure.relative.covariance.ravel()
    message.twist.covariance = np.diag(np.full(6, UNOBSERVED_VARIANCE)).ravel()
    return message


def _relative_message(relative: RelativePose) -> Pose:
    if relative.full is None:
        x, y, yaw = (float(value) for value in relative.pose)
        return Pose(position=Point(x=x, y=y, z=0.0), orientation=quaternion_from_yaw(yaw))
    x, y, z = relative.full.position.tolist()
    turn = dict(zip("xyzw", relative.full.orientation.tolist(), strict=True))
    return Pose(position=Point(x=x, y=y, z=z), orientation=Quaternion(**turn))


def loop_markers(closures: Iterable[LoopClosure], odometry_frame: str) -> MarkerArray:
    """Return a line from every query to its match, in the frame of the odometry.

    Only within the newest segment of the odometry, as others have no place in its frame.
    """
    lines = Marker(ns="loops", type=Marker.LINE_LIST, color=_BLUE, scale=Vector3(x=_WIDTH_M))
    lines.header.frame_id = odometry_frame
    lines.pose.orientation.w = 1.0
    every = list(closures)
    newest = every[-1].query.segment if every else 0
    for closure in every:
        if closure.query.segment == closure.match.segment == newest:
            lines.points += [_point(closure.query), _point(closure.match)]
    if every:
        lines.header.stamp = stamp_from_ns(every[-1].query.stamp_ns)
    if not lines.points:
        lines.action = Marker.DELETE
    return MarkerArray(markers=[lines])


def _point(keyframe: Keyframe) -> Point:
    return Point(x=float(keyframe.pose[0]), y=float(keyframe.pose[1]), z=0.0)
