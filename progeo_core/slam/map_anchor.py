"""Where the odometry of a drive lies in the map that the drive extends."""

from __future__ import annotations

import math

import numpy as np

from progeo_core.geo import FloatArray
from progeo_core.poses.planar_pose import between, compose
from progeo_core.poses.pose_buffer import BufferedPose
from progeo_core.slam.loop_closure import LoopClosure


class MapAnchor:
    """Turn poses of the odometry into poses of the map, one segment of the odometry at a time.

    The first drive of a new map is the map's frame. Any later segment is placed where the robot
    first recognises something: the map by an accepted answer, or the same drive by a loop closure.
    Until then it is nowhere. What was placed stays: corrections would tear the map apart.
    """

    def __init__(self, *, is_new_map: bool) -> None:
        """Say whether the map has no places yet."""
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
        """Take where the map says that the robot was at a pose of the odometry."""
        if math.isfinite(yaw_rad) and math.isfinite(pose.yaw_rad):
            self._settle(pose.segment, np.array([*position[:2], yaw_rad]), pose.planar)

    def closed(self, closure: LoopClosure) -> None:
        """Take a loop closure between two segments."""
        origin = self._origin.get(closure.match.segment)
        if origin is not None and closure.query.metric:
            seen = compose(compose(origin, closure.match.pose), closure.relative.pose)
            self._settle(closure.query.segment, seen, closure.query.pose)

    def _settle(self, segment: int, in_map: FloatArray, in_odometry: FloatArray) -> None:
        inverse = between(in_odometry, np.zeros(3))
        self._origin.setdefault(segment, compose(in_map, inverse))
