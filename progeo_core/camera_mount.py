"""Which way a camera looks from its robot, told by the pictures that it took while driving."""

from __future__ import annotations

import collections
import math

import numpy as np

# What one pair of pictures tells is seldom wrong by more than 0.1 rad, but now and then by 1.
_LEAST, _KEPT = 5, 20
# Length of the mean of unit vectors: on a campus drive 0.96. Below this they contradict each other.
_LEAST_AGREEMENT = 0.8


class CameraMount:
    """Follow one camera; the newest pairs of pictures count."""

    def __init__(self) -> None:
        """Begin without knowing anything."""
        self._seen: collections.deque[tuple[float, float]] = collections.deque(maxlen=_KEPT)

    def add(self, bearing_rad: float, direction_rad: float) -> None:
        """Take where the camera saw itself go, and where its robot went; both from straight ahead.

        Counter-clockwise; what is no number is left out.
        """
        yaw = direction_rad - bearing_rad
        if math.isfinite(yaw):
            self._seen.append((math.cos(yaw), math.sin(yaw)))

    @property
    def yaw_rad(self) -> float:
        """Return the yaw of the camera on its robot, NaN while it is not known."""
        if len(self._seen) < _LEAST:
            return math.nan
        x, y = np.mean(self._seen, axis=0)
        return math.atan2(y, x) if math.hypot(x, y) >= _LEAST_AGREEMENT else math.nan
