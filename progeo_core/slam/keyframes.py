"""Keyframes: the images of a session that were taken elsewhere, or show something new."""

from __future__ import annotations

import dataclasses
import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from progeo_core.geo import FloatArray
from progeo_core.map.place_features import PLACE_FEATURES
from progeo_core.poses.planar_pose import between
from progeo_core.settings import Settings, setting

# Descriptors this close (1 - cosine) are of one image: a frozen driver, or one message twice.
_SAME_IMAGE = 1e-5
# An image may be a keyframe for its novelty after this share of the distance or the turn.
_NOVEL_SHARE = 0.25
# The usual change between keyframes follows the last ten or so.
_USUAL_GAIN = 0.1


@dataclasses.dataclass(frozen=True)
class KeyframeSettings(Settings):
    """Distances between the keyframes of a session."""

    distance_m: float = setting(
        1.0,
        "Distance (m) from the last keyframe that makes an image the next one",
        low=0.01,
        high=1e3,
    )
    turn_rad: float = setting(
        0.35,
        "Turn (rad) since the last keyframe that makes an image the next one",
        low=0.01,
        high=math.pi,
    )
    features: int = setting(
        PLACE_FEATURES,
        "Local features kept of each keyframe, 82 bytes each, for poses by landmarks; 0 keeps"
        " thumbnails only",
        low=0,
        high=4096,
    )


class Keyframe(NamedTuple):
    """Place and time of a kept image.

    number: 0 for the first of the session. pose: [3] x, y (m), yaw (rad) in the odometry's frame;
    without odometry, x counts keyframes. segment: a new number wherever the odometry restarted, as
    poses compare only within one segment. metric: whether the pose is from odometry.
    path_length_m: driven within the segment.
    """

    number: int
    stamp_ns: int
    pose: FloatArray
    segment: int
    metric: bool
    path_length_m: float


class KeyframeSelector:
    """Selection of keyframes, image by image; the first one is always kept."""

    def __init__(self, settings: KeyframeSettings | None = None) -> None:
        """Start without a keyframe."""
        self.settings = settings or KeyframeSettings()
        self._last: tuple[FloatArray | None, int, NDArray[np.float32]] | None = None
        self._usual_change: float | None = None

    def take(self, pose: FloatArray | None, segment: int, descriptor: NDArray[np.float32]) -> bool:
        """Return whether an image is the next keyframe; if so, later ones are measured from it.

        pose: [3] planar, None without odometry: then novelty alone decides, and every image that
        differs from the last keyframe counts as new. descriptor: [D] of unit length.
        """
        if self._last is None:
            self._last = (pose, segment, descriptor)
            return True
        last_pose, last_segment, last_descriptor = self._last
        change = 1.0 - float(descriptor @ last_descriptor)
        if change < _SAME_IMAGE:
            return False
        if pose is not None and last_pose is not None and segment == last_segment:
            if not self._is_elsewhere(between(last_pose, pose), change):
                return False
            usual = change if self._usual_change is None else self._usual_change
            self._usual_change = usual + _USUAL_GAIN * (change - usual)
        self._last = (pose, segment, descriptor)
        return True

    def _is_elsewhere(self, step: FloatArray, change: float) -> bool:
        share = max(
            math.hypot(step[0], step[1]) / self.settings.distance_m,
            abs(step[2]) / self.settings.turn_rad,
        )
        usual = math.inf if self._usual_change is None else self._usual_change
        return share >= 1.0 or (share >= _NOVEL_SHARE and change >= usual)
