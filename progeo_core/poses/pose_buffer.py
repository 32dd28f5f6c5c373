"""The latest poses of one topic, and where the robot was when an image was taken."""

from __future__ import annotations

import collections
import math
import threading
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from progeo_core.geo import FloatArray, Frame
from progeo_core.poses.pose_track import PoseTrack

# Twenty seconds at 50 Hz, longer than any image waits for its descriptor.
_KEPT = 1000
# A pose this much older than the last (s) is of a new run (simulation, bag loop), not disorder.
_RESTART_S = 1.0
# No robot moves faster than this (m/s) or by more than this (m) within the noise of stamps.
_FASTEST_MPS, _STEP_M = 30.0, 1.0
# An image this much newer (s) than the newest pose was taken there; poses come a little late.
_LATE_S = 0.2


class BufferedPose(NamedTuple):
    """Hold a position [3] (m), a yaw (rad, NaN unknown) and the run of the topic they are of."""

    position: FloatArray
    yaw_rad: float
    segment: int

    @property
    def planar(self) -> FloatArray:
        """Return x, y, yaw [3]."""
        return np.array([*self.position[:2], self.yaw_rad])


class PoseBuffer:
    """Take poses in one thread and answer in another.

    A jump, or time that starts again, begins a new segment: poses of two segments do not compare.
    """

    def __init__(self) -> None:
        """Start without poses, in segment 0."""
        self._lock = threading.Lock()
        self._poses: collections.deque[tuple[int, tuple[float, ...], float]] = collections.deque(
            maxlen=_KEPT
        )
        self._segment = 0

    @property
    def heard(self) -> bool:
        """Say whether any pose ever came."""
        return bool(self._poses)

    @property
    def segment(self) -> int:
        """Return the number of times that the topic started anew."""
        return self._segment

    def add(self, stamp_ns: int, position: ArrayLike, yaw_rad: float) -> None:
        """Take one pose; what is not finite (but for the yaw), unstamped or late is left out."""
        point = tuple(np.asarray(position, np.float64).tolist())
        if stamp_ns <= 0 or not all(map(math.isfinite, point)):
            return
        with self._lock:
            if self._poses:
                last_ns, last_point, _ = self._poses[-1]
                elapsed = (stamp_ns - last_ns) * 1e-9
                if -_RESTART_S < elapsed <= 0.0:
                    return
                reach = _FASTEST_MPS * elapsed + _STEP_M
                if elapsed <= 0.0 or math.dist(point, last_point) > reach:
                    self._poses.clear()
                    self._segment += 1
            self._poses.append((stamp_ns, point, yaw_rad))

    def at(self, stamp_ns: int) -> BufferedPose | None:
        """Return the pose at a stamp, interpolated; None where no poses are near."""
        with self._lock:
            poses, segment = list(self._poses), self._segment
        if not poses:
            return None
        newest_ns, point, yaw = poses[-1]
        if 0.0 <= (stamp_ns - newest_ns) * 1e-9 <= _LATE_S:
            return BufferedPose(np.array(point), yaw, segment)
        stamps, points, yaws = zip(*poses, strict=True)
        found = PoseTrack.from_poses(stamps, points, Frame.LOCAL, yaws).at([stamp_ns])
        if not np.isfinite(found.position).all():
            return None
        return BufferedPose(found.position[0], float(found.yaw_rad[0]), segment)
