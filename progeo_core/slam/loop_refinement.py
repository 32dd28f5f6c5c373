"""Make loop closures finer by the pictures of their keyframes, where the camera is calibrated."""

from __future__ import annotations

import collections
import math
from collections.abc import Sequence

import numpy as np

from progeo_core.images.codec import decode_image
from progeo_core.poses.planar_pose import between
from progeo_core.slam.keyframe_images import KeyframeImages
from progeo_core.slam.keyframes import Keyframe
from progeo_core.slam.loop_closure import LoopClosure
from progeo_core.slam.loop_pose import refine_relative
from progeo_core.verification.local_features import LocalFeatures, find_features
from progeo_core.verification.two_view_geometry import (
    Intrinsics,
    TwoViewGeometry,
    two_view_geometry,
)

# The first closures of a revisit come up to 15 at once, and each takes some 25 ms of two cores.
_MAX_AT_ONCE = 5
# Keyframes whose features are kept: 300 of 128 floats are 150 kB.
_KEPT = 32
# Share of the distance of keyframes that must lie between two whose direction is to be told.
_MIN_STEP = 0.5


class LoopRefiner:
    """Keep the pictures of one camera's keyframes, and compare those that close loops."""

    def __init__(self, spacing_m: float) -> None:
        """Take the distance of keyframes (m)."""
        self._spacing_m = spacing_m
        self._pictures = KeyframeImages()
        self._mount = CameraYaw()
        self._features: dict[int, LocalFeatures] = {}

    def keep(self, number: int, thumbnail: bytes) -> None:
        """Take the picture of the newest keyframe, as JPEG."""
        self._pictures.add(number, thumbnail)

    def refine(
        self,
        closures: tuple[LoopClosure, ...],
        keyframes: Sequence[Keyframe],
        intrinsics: Intrinsics,
    ) -> tuple[LoopClosure, ...]:
        """Return the closures, the newest of them refined; keyframes: all of the drive."""
        newest = closures[-_MAX_AT_ONCE:]
        for closure in newest:
            self._learn_mount(closure.query, keyframes, intrinsics)
        refined = tuple(self._refined(closure, intrinsics) for closure in newest)
        return closures[: -len(newest)] + refined

    def _refined(self, closure: LoopClosure, intrinsics: Intrinsics) -> LoopClosure:
        query, match = closure.query, closure.match
        view = self._view(query.number, match.number, intrinsics)
        if view is None:
            return closure
        # Without odometry nothing tells how far along the bearing the camera stood.
        metric = query.metric and match.metric
        bearing = view.bearing_rad + self._mount.yaw_rad if metric else math.nan
        view = view._replace(bearing_rad=bearing)
        return closure._replace(relative=refine_relative(closure.relative, view, self._spacing_m))

    def _learn_mount(
        self, keyframe: Keyframe, keyframes: Sequence[Keyframe], intrinsics: Intrinsics
    ) -> None:
        """Compare a keyframe with the one before it, between which odometry tells the way."""
        if not keyframe.number:
            return
        before = keyframes[keyframe.number - 1]
        if not (keyframe.metric and before.segment == keyframe.segment):
            return
        x, y, _ = between(before.pose, keyframe.pose)
        if math.hypot(x, y) < _MIN_STEP * self._spacing_m:
            return
        view = self._view(keyframe.number, before.number, intrinsics)
        if view is not None:
            self._mount.add(view.bearing_rad, math.atan2(y, x))

    def _view(self, query: int, match: int, intrinsics: Intrinsics) -> TwoViewGeometry | None:
        """Return how the camera stood at one keyframe as seen from another, by their numbers."""
        features = self._features_of(query), self._features_of(match)
        if features[0] is None or features[1] is None:
            return None
        return two_view_geometry(features[0], features[1], intrinsics)

    def _features_of(self, number: int) -> LocalFeatures | None:
        """Return the features of a keyframe's picture, None where there is none."""
        if number not in self._features:
            jpeg = self._pictures.get(number)
            if jpeg is None:
                return None
            if len(self._features) >= _KEPT:
                del self._features[next(iter(self._features))]
            self._features[number] = find_features(decode_image(jpeg, f"keyframe {number}"))
        return self._features[number]


# What one pair of pictures tells is seldom wrong by more than 0.1 rad, but now and then by 1.
_MIN, _KEPT = 5, 20
# Length of the mean of unit vectors: on a campus drive 0.96. Below this they contradict each other.
_MIN_AGREEMENT = 0.8


class CameraYaw:
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
        if len(self._seen) < _MIN:
            return math.nan
        x, y = np.mean(self._seen, axis=0)
        return math.atan2(y, x) if math.hypot(x, y) >= _MIN_AGREEMENT else math.nan
