"""Remember odometry for a while, to tell how far a camera went between two images."""

from __future__ import annotations

import collections
import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from progeo_core.geo import wrap_angle

# Two minutes at 100 Hz, far longer than the time between two images.
_KEPT = 12_000
# An image this much newer (s) than the last message waits for nothing: odometry has stopped.
_SILENCE_S = 0.5
# A message this much older (s) than the last is a new run (simulation, bag loop), not disorder.
_RESTART_S = 1.0


class Travel(NamedTuple):
    """Hold the odometry between two images: distance (m) and turn (rad, counter-clockwise)."""

    distance_m: float
    turn_rad: float


class _Entry(NamedTuple):
    stamp_ns: int
    position: tuple[float, ...]
    yaw_rad: float
    distance_m: float


class Odometry:
    """Add up the way of one robot; distances only, as the odometry's frame is not the map's."""

    def __init__(self, max_speed_mps: float) -> None:
        """Take the speed (m/s) above which a step is a jump of the odometry, not motion."""
        self._max_speed_mps = max_speed_mps
        self._entries: collections.deque[_Entry] = collections.deque(maxlen=_KEPT)

    def add(self, stamp_ns: int, position: ArrayLike, yaw_rad: float) -> None:
        """Take one message: position [3] (m) and yaw (rad) in any fixed frame.

        What is not finite, or older than the last message, is left out. A jump, or time that starts
        again, forgets what was before.
        """
        point = tuple(np.asarray(position, np.float64).tolist())
        if stamp_ns <= 0 or not all(map(math.isfinite, (*point, yaw_rad))):
            return
        distance = 0.0
        if self._entries:
            last = self._entries[-1]
            elapsed = (stamp_ns - last.stamp_ns) * 1e-9
            if -_RESTART_S < elapsed <= 0.0:
                return
            step = math.dist(point, last.position)
            if elapsed <= 0.0 or step > self._max_speed_mps * elapsed:
                self._entries.clear()
            else:
                distance = last.distance_m + step
        self._entries.append(_Entry(stamp_ns, point, yaw_rad, distance))

    def travel(self, from_ns: int, to_ns: int) -> Travel | None:
        """Return how far the robot went and turned, or None where odometry does not cover it."""
        if not self._entries or not 0 < from_ns <= to_ns:
            return None
        newest = self._entries[-1].stamp_ns + int(_SILENCE_S * 1e9)
        if from_ns < self._entries[0].stamp_ns or to_ns > newest:
            return None
        # Seconds from the first image keep the precision that nanoseconds as floats lose.
        seconds = [(entry.stamp_ns - from_ns) * 1e-9 for entry in self._entries]
        at = [0.0, (to_ns - from_ns) * 1e-9]
        distance = np.interp(at, seconds, [entry.distance_m for entry in self._entries])
        yaw = np.interp(at, seconds, np.unwrap([entry.yaw_rad for entry in self._entries]))
        return Travel(float(distance[1] - distance[0]), float(wrap_angle(yaw[1] - yaw[0])))
