"""Where the odometry of a session lies in the map that the session extends."""

from __future__ import annotations

import math

import numpy as np

from progeo_core.geo import FloatArray
from progeo_core.poses.planar_pose import between, compose
from progeo_core.poses.pose_buffer import BufferedPose
from progeo_core.slam.loop_closure import LoopClosure


class MapAnchor:
    """Transform from the odometry to the map, one for each segment of the odometry.

    The first segment of a new map is the map's frame. Any later one is placed where the robot
    first recognises something: the map by an accepted answer, or this session by a loop closure.
    Until then its place is unknown. What was placed stays: corrections would tear the map apart.
    """

    def __init__(self, *, is_new_map: bool) -> None:
        """Start without any transform; is_new_map: whether the map has no places yet."""
        self._is_new_map = is_new_map
        self._origin: dict[int, FloatArray] = {}

    def place(self, pose: BufferedPose) -> BufferedPose | None:
        """Return a pose of the odometry in the map, None while nothing is known."""
        if self._is_new_map and not self._origin:
            self._origin[pose.segment] = np.zeros(3)
        origin = self._origin.get(pose.segment)
        if origin is None:
            return None
        x, y, yaw = compose(origin, pose.planar)
        return BufferedPose(np.array([x, y, pose.position[2]]), float(yaw), pose.segment)

    def recognised(self, position: FloatArray, yaw_rad: float, pose: BufferedPose) -> None:
        """Place the segment of a pose of the odometry where the map says that the robot was."""
        if math.isfinite(yaw_rad) and math.isfinite(pose.yaw_rad):
            self._settle(pose.segment, np.array([*position[:2], yaw_rad]), pose.planar)

    def closed(self, closure: LoopClosure) -> None:
        """Place the segment of the query of a loop closure relative to that of its match."""
        origin = self._origin.get(closure.match.segment)
        if origin is not None and closure.query.metric:
            seen = compose(compose(origin, closure.match.pose), closure.relative.pose)
            self._settle(closure.query.segment, seen, closure.query.pose)

    def _settle(self, segment: int, in_map: FloatArray, in_odometry: FloatArray) -> None:
        inverse = between(in_odometry, np.zeros(3))
        self._origin.setdefault(segment, compose(in_map, inverse))
