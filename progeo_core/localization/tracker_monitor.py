"""Whether a tracker, such as a particle filter on a laser, still knows where the robot is.

A tracker follows its own sensor precisely but cannot tell that it is lost. Poses from images are
coarse, yet say where on the map the robot is: several in a row that contradict the tracker, and
not each other, are worth starting it again. One alone never is: that costs what the tracker knew.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from progeo_core.geo import FloatArray
from progeo_core.poses.planar_pose import between
from progeo_core.settings import Settings, setting

# Standard deviations of a pose that are no contradiction, on top of the settings.
_SIGMAS = 2.0
# A yaw less sure than this (rad) is none: a uniform direction has a deviation of 1.8.
_KNOWN_YAW_RAD = 1.5


@dataclasses.dataclass(frozen=True)
class TrackerSettings(Settings):
    """Settings for when a tracker counts as lost."""

    distance_m: float = setting(
        3.0,
        "Distance (m), besides two standard deviations, at which a pose contradicts the tracker",
        low=0.01,
        high=1e4,
    )
    turn_rad: float = setting(
        1.0,
        "Turn (rad), besides two standard deviations, at which a pose contradicts the tracker",
        low=0.01,
        high=math.pi,
    )
    poses: int = setting(
        3,
        "Poses in a row that must contradict the tracker, and agree with the one before",
        low=1,
        high=100,
    )
    patience_s: float = setting(
        10.0,
        "Time (s) that the tracker has for each start before it gets another",
        low=0.0,
        high=1e3,
    )


class TrackerMonitor:
    """Monitor of a tracker by poses [3] (x, y in m, yaw in rad) of one robot in one frame."""

    def __init__(self, settings: TrackerSettings | None = None) -> None:
        """Start with a tracker that knows nothing."""
        self.settings = settings or TrackerSettings()
        self._tracked: FloatArray | None = None
        self._last: FloatArray | None = None
        self._against = 0
        self._started_ns: int | None = None

    def track(self, pose: FloatArray) -> None:
        """Note where the tracker believes the robot to be."""
        self._tracked = pose if np.isfinite(pose).all() else None

    def locate(self, stamp_ns: int, pose: FloatArray, sigma: FloatArray) -> bool:
        """Whether the tracker should start at this pose from an image, of deviations [3]."""
        if not (np.isfinite(pose).all() and sigma[2] < _KNOWN_YAW_RAD):
            return False
        agrees = self._last is None or not self._contradicts(self._last, pose, sigma)
        against = self._tracked is None or self._contradicts(self._tracked, pose, sigma)
        self._last = pose
        self._against = (self._against + 1 if agrees else 1) if against else 0
        if self._against < self.settings.poses or self._is_starting(stamp_ns):
            return False
        self._started_ns, self._against = stamp_ns, 0
        return True

    def _is_starting(self, stamp_ns: int) -> bool:
        """Whether the tracker was started a moment ago; not if time went back since."""
        if self._started_ns is None:
            return False
        return 0 <= stamp_ns - self._started_ns < self.settings.patience_s * 1e9

    def _contradicts(self, other: FloatArray, pose: FloatArray, sigma: FloatArray) -> bool:
        x, y, turn = between(other, pose)
        apart = self.settings.distance_m + _SIGMAS * math.hypot(sigma[0], sigma[1])
        turned = self.settings.turn_rad + _SIGMAS * sigma[2]
        return math.hypot(x, y) > apart or abs(float(turn)) > turned
