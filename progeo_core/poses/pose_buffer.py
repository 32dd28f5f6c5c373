"""The latest poses of one topic: where the robot was, and how far it went between two times."""

from __future__ import annotations

import bisect
import math
import threading
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from progeo_core.geo import FloatArray, Frame, wrap_angle
from progeo_core.poses.pose_track import PoseTrack

# Two minutes at 100 Hz, far longer than the time between two images or until an answer.
_KEPT = 12_000
# A pose this much older than the last (s) is of a new run (simulation, bag loop), not disorder.
_RESTART_S = 1.0
# No robot moves faster than this (m/s) or by more than this (m) within the noise of stamps.
_MAX_SPEED_MPS, _MAX_NOISE_M = 30.0, 1.0
# An image this much newer (s) than the newest pose was taken there; poses come a little late.
_LATE_S = 0.2
# A time this much newer (s) than the newest pose is not covered: the topic has stopped.
_SILENCE_S = 0.5
_NS_PER_S = 1_000_000_000
_UNKNOWN_TURN = (math.nan, math.nan, math.nan, math.nan)


class BufferedPose(NamedTuple):
    """Pose of a robot: position [3] (m), yaw (rad, NaN unknown), and its segment of the topic.

    orientation: [4] quaternion x y z w, None unknown.
    """

    position: FloatArray
    yaw_rad: float
    segment: int
    orientation: FloatArray | None = None

    @property
    def planar(self) -> FloatArray:
        """Return x, y, yaw [3]."""
        return np.array([*self.position[:2], self.yaw_rad])


class Travel(NamedTuple):
    """Motion between two times: path length (m) and turn (rad, counter-clockwise)."""

    distance_m: float
    turn_rad: float


class _Entry(NamedTuple):
    """One pose, and the length (m) of the path from the start of its segment."""

    position: tuple[float, ...]
    yaw_rad: float
    path_length_m: float
    orientation: tuple[float, ...]


class PoseBuffer:
    """Latest poses of one topic; every method may be called from any thread.

    A jump, or time that starts again, begins a new segment. Poses of two segments do not compare,
    so that only those of the newest one are kept.
    """

    def __init__(self) -> None:
        """Start without poses, in segment 0."""
        self._lock = threading.Lock()
        self._stamps: list[int] = []
        self._entries: list[_Entry] = []
        self._segment = 0

    @property
    def heard(self) -> bool:
        """Whether any pose ever came."""
        return bool(self._stamps)

    @property
    def segment(self) -> int:
        """Return the number of times that the topic started again."""
        return self._segment

    def add(
        self,
        stamp_ns: int,
        position: ArrayLike,
        yaw_rad: float,
        orientation: Sequence[float] = _UNKNOWN_TURN,
    ) -> None:
        """Add one pose [3] (m) with its yaw (rad, NaN unknown), in any fixed frame.

        orientation: quaternion x y z w, NaN unknown. A pose without a stamp or a finite position,
        or older than the last one, is left out.
        """
        point = tuple(np.asarray(position, np.float64).tolist())
        if stamp_ns <= 0 or not all(map(math.isfinite, point)):
            return
        yaw = yaw_rad if math.isfinite(yaw_rad) else math.nan
        with self._lock:
            path_length = 0.0
            if self._stamps:
                last, elapsed = self._entries[-1], (stamp_ns - self._stamps[-1]) / _NS_PER_S
                if -_RESTART_S < elapsed <= 0.0:
                    return
                step = math.dist(point, last.position)
                if elapsed <= 0.0 or step > _MAX_SPEED_MPS * elapsed + _MAX_NOISE_M:
                    self._stamps.clear()
                    self._entries.clear()
                    self._segment += 1
                else:
                    path_length = last.path_length_m + step
            self._stamps.append(stamp_ns)
            self._entries.append(_Entry(point, yaw, path_length, tuple(orientation)))
            # In large portions, as each moves all that stays.
            if len(self._stamps) >= 2 * _KEPT:
                del self._stamps[:_KEPT], self._entries[:_KEPT]

    @property
    def newest(self) -> BufferedPose | None:
        """Return the newest pose, None before the first."""
        with self._lock:
            stamp_ns = self._stamps[-1] if self._stamps else 0
        return self.at(stamp_ns) if stamp_ns else None

    def at(self, stamp_ns: int) -> BufferedPose | None:
        """Return the pose at a stamp, interpolated; None where no poses are near."""
        with self._lock:
            if not self._stamps:
                return None
            segment, newest = self._segment, self._entries[-1]
            late_s = (stamp_ns - self._stamps[-1]) / _NS_PER_S
            after = bisect.bisect_left(self._stamps, stamp_ns)
            pair = slice(max(after - 1, 0), after + 1)
            stamps, entries = self._stamps[pair], self._entries[pair]
        if 0.0 <= late_s <= _LATE_S:
            stamps, entries = [stamp_ns], [newest]
        points, yaws, _, turns = zip(*entries, strict=True)
        track = PoseTrack.from_poses(stamps, points, Frame.LOCAL, yaws, turns)
        found, turn = track.at([stamp_ns]), track.orientation_at([stamp_ns])[0]
        if not np.isfinite(found.position).all():
            return None
        known = turn if np.isfinite(turn).all() else None
        return BufferedPose(found.position[0], float(found.yaw_rad[0]), segment, known)

    def travel(self, from_ns: int, to_ns: int) -> Travel | None:
        """Return how far the robot went and turned between two stamps.

        None where the poses do not cover both of them, where they are of different segments, and
        where a yaw is unknown.
        """
        with self._lock:
            if not self._stamps or not 0 < from_ns <= to_ns:
                return None
            silence_s = (to_ns - self._stamps[-1]) / _NS_PER_S
            if from_ns < self._stamps[0] or silence_s > _SILENCE_S:
                return None
            start, end = self._travelled(from_ns), self._travelled(to_ns)
        turn = float(wrap_angle(end.turn_rad - start.turn_rad))
        if math.isnan(turn):
            return None
        return Travel(end.distance_m - start.distance_m, turn)

    def _travelled(self, stamp_ns: int) -> Travel:
        """Return path length and yaw at a stamp that is not before the first pose."""
        after = bisect.bisect_right(self._stamps, stamp_ns)
        last, begin_ns = self._entries[after - 1], self._stamps[after - 1]
        if after == len(self._stamps) or stamp_ns == begin_ns:
            return Travel(last.path_length_m, last.yaw_rad)
        following = self._entries[after]
        share = (stamp_ns - begin_ns) / (self._stamps[after] - begin_ns)
        length = last.path_length_m + share * (following.path_length_m - last.path_length_m)
        turn = float(wrap_angle(following.yaw_rad - last.yaw_rad))
        return Travel(length, last.yaw_rad + share * turn)
