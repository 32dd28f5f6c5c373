"""Where the odometry of a session lies in the map that the session extends."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from progeo_core.geo import FloatArray
from progeo_core.poses.camera_pose import turned
from progeo_core.poses.planar_pose import between, compose
from progeo_core.poses.pose_buffer import BufferedPose
from progeo_core.poses.pose_estimate import PoseEstimate
from progeo_core.slam.loop_closure import LoopClosure


class _Origin(NamedTuple):
    """Where the odometry's origin is in the map: x, y (m), yaw (rad) [3], and its height (m).

    exact: it is by landmarks, not by the pose of a similar place.
    """

    planar: FloatArray
    height_m: float
    exact: bool


class MapAnchor:
    """Transform from the odometry to the map, one for each segment of the odometry.

    The first segment of a new map is the map's frame. Any later one is placed where the robot
    first recognises something: the map by an accepted answer, or this session by a loop closure.
    Until then its place is unknown. What was placed stays, as corrections would tear the map apart;
    only the first pose by landmarks takes the place of one by a similar place.
    """

    def __init__(self, *, is_new_map: bool) -> None:
        """Start without any transform; is_new_map: whether the map has no places yet."""
        self._is_new_map = is_new_map
        self._origin: dict[int, _Origin] = {}

    def place(self, pose: BufferedPose) -> BufferedPose | None:
        """Return a pose of the odometry in the map, None while nothing is known.

        Its orientation is known only where landmarks, or a new map, say where the odometry lies.
        """
        if self._is_new_map and not self._origin:
            self._origin[pose.segment] = _Origin(np.zeros(3), 0.0, exact=True)
        origin = self._origin.get(pose.segment)
        if origin is None:
            return None
        x, y, yaw = compose(origin.planar, pose.planar)
        orientation = None
        if origin.exact and pose.orientation is not None:
            orientation = turned(pose.orientation, origin.planar[2:])[0]
        position = np.array([x, y, pose.position[2] + origin.height_m])
        return BufferedPose(position, float(yaw), pose.segment, orientation)

    def recognised(self, estimate: PoseEstimate, pose: BufferedPose) -> None:
        """Place the segment of a pose of the odometry where the map says that the robot was."""
        if not (math.isfinite(estimate.yaw_rad) and math.isfinite(pose.yaw_rad)):
            return
        in_map = np.array([*estimate.position[:2], estimate.yaw_rad])
        exact = estimate.orientation is not None
        height_m = float(estimate.position[2] - pose.position[2]) if exact else 0.0
        self._settle(pose.segment, _Origin(_origin(in_map, pose.planar), height_m, exact))

    def closed(self, closure: LoopClosure) -> None:
        """Place the segment of the query of a loop closure relative to that of its match."""
        origin = self._origin.get(closure.match.segment)
        if origin is not None and closure.query.metric:
            seen = compose(compose(origin.planar, closure.match.pose), closure.relative.pose)
            planar = _origin(seen, closure.query.pose)
            self._settle(closure.query.segment, _Origin(planar, origin.height_m, exact=False))

    def _settle(self, segment: int, origin: _Origin) -> None:
        known = self._origin.get(segment)
        if known is None or (origin.exact and not known.exact):
            self._origin[segment] = origin


def _origin(in_map: FloatArray, in_odometry: FloatArray) -> FloatArray:
    """Return the odometry's origin [3] in the map, by one pose in both."""
    return compose(in_map, between(in_odometry, np.zeros(3)))
