"""The odometry of a whole session: where it places the robot, and how far the robot went."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from progeo_core.geo import FloatArray, Frame
from progeo_core.poses.planar_pose import between
from progeo_core.poses.pose_track import PoseTrack

IntArray = NDArray[np.int64]

# Poses this near the last one (a robot that stands, or 50 messages a second) are not all kept.
_SAME_M, _SAME_RAD = 0.1, 0.05


class OdometryAt(NamedTuple):
    """Odometry at n stamps: pose [n, 3], segment [n], and path length (m) until then [n]."""

    pose: FloatArray
    segment: IntArray
    path_length_m: FloatArray


class OdometryTrack:
    """Poses of the odometry in the order of their stamps."""

    def __init__(self) -> None:
        self._entries: list[tuple[int, FloatArray, int]] = []

    def __len__(self) -> int:
        """Return the number of poses kept."""
        return len(self._entries)

    @property
    def newest_ns(self) -> int:
        """Return the newest stamp, 0 without any."""
        return self._entries[-1][0] if self._entries else 0

    def add(self, stamp_ns: int, pose: FloatArray, segment: int) -> bool:
        """Add a pose [3]; return whether it is newer than all others.

        segment: another number wherever the odometry restarted.
        """
        if stamp_ns <= self.newest_ns:
            return False
        if len(self) > 1 and self._is_repeated():
            self._entries.pop()
        self._entries.append((stamp_ns, np.asarray(pose, np.float64), segment))
        return True

    def covers(self, stamp_ns: int) -> bool:
        """Whether a stamp lies between the first and the newest pose."""
        return bool(self._entries) and self._entries[0][0] <= stamp_ns <= self.newest_ns

    def at(self, stamp_ns: IntArray) -> OdometryAt:
        """Return the odometry at stamps [n] that it covers."""
        known, poses, segment = self._columns()
        track = PoseTrack.from_poses(
            known,
            np.column_stack([poses[:, :2], np.zeros(len(poses))]),
            Frame.LOCAL,
            poses[:, 2],
        )
        found = track.at(stamp_ns, max_gap_s=math.inf)
        before = np.searchsorted(known, stamp_ns, side="right") - 1
        return OdometryAt(
            np.column_stack([found.position[:, :2], found.yaw_rad]),
            segment[before],
            np.interp(stamp_ns, known, _path_length(poses, segment)),
        )

    def milestones(self, distance_m: float) -> IntArray:
        """Return the stamps of first and newest pose, of every distance, and of new segments."""
        known, poses, segment = self._columns()
        cell = np.floor(_path_length(poses, segment) / distance_m)
        new = np.flatnonzero((np.diff(cell) > 0) | (np.diff(segment) != 0)) + 1
        return np.unique(np.concatenate([known[[0, -1]], known[new]]))

    def copy(self) -> OdometryTrack:
        """Return a track of the same poses."""
        twin = OdometryTrack()
        twin._entries = self._entries.copy()
        return twin

    def _columns(self) -> tuple[IntArray, FloatArray, IntArray]:
        stamps, poses, segments = zip(*self._entries, strict=True)
        return np.array(stamps, np.int64), np.array(poses), np.array(segments, np.int64)

    def _is_repeated(self) -> bool:
        """Whether the newest pose adds nothing to the one before it."""
        (_, before, before_segment), (_, newest, segment) = self._entries[-2:]
        step = between(before, newest)
        same = segment == before_segment
        return bool(same and math.hypot(step[0], step[1]) < _SAME_M and abs(step[2]) < _SAME_RAD)


def _path_length(poses: FloatArray, segment: IntArray) -> FloatArray:
    """Return the path length (m) until each pose [n]; between segments it is unknown, and 0."""
    steps = np.linalg.norm(np.diff(poses[:, :2], axis=0), axis=1)
    steps[np.diff(segment) != 0] = 0.0
    return np.concatenate([[0.0], np.cumsum(steps)])
