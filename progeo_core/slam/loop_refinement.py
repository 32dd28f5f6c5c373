"""Refine loop closures by the images of their keyframes, where the camera is calibrated.

Two images give the turn of the camera and the bearing of its position, both in the camera's frame.
Odometry is in the robot's frame, so the yaw of the camera on the robot is estimated as well, from
pairs of successive keyframes.
"""

from __future__ import annotations

import collections
import math
from collections.abc import Sequence

import numpy as np

from progeo_core.errors import UsageError
from progeo_core.images.codec import Image
from progeo_core.images.intrinsics import Intrinsics
from progeo_core.poses.planar_pose import between
from progeo_core.slam.keyframe_features import KeyframeFeatures
from progeo_core.slam.keyframe_file import KeyframeFile
from progeo_core.slam.keyframes import Keyframe
from progeo_core.slam.loop_closure import LoopClosure
from progeo_core.slam.loop_pose import refine_relative
from progeo_core.verification.feature_matching import mutual_matches
from progeo_core.verification.two_view_geometry import TwoViewGeometry, two_view_geometry

# The first closures of a revisit come up to 15 at once, and each takes some 25 ms of two cores.
_MAX_AT_ONCE = 5
# Local features kept of a keyframe: 37 kB on disk. So many keyframes' are in memory, 130 kB each.
_FEATURES, _IN_MEMORY = 512, 32
# Share of the distance of keyframes below which the direction between two of them is uncertain.
_MIN_STEP = 0.5
# One pair of images is seldom wrong by more than 0.1 rad, but sometimes by 1.
_MIN_PAIRS, _PAIRS_KEPT = 5, 20
# Length of the mean of unit vectors: on a campus drive 0.96. Below this they contradict each other.
_MIN_AGREEMENT = 0.8


class LoopRefiner:
    """Local features of the keyframes of one camera, and the refinement of closures by them."""

    def __init__(self, spacing_m: float) -> None:
        """Start without keyframes; spacing_m: distance of keyframes (m)."""
        self._spacing_m = spacing_m
        self._file = KeyframeFile()
        self._camera = CameraYaw()
        self._features: dict[int, KeyframeFeatures] = {}

    def keep(self, number: int, image: Image, intrinsics: Intrinsics) -> None:
        """Store the local features of the newest keyframe.

        There are none where the calibration is of images with another aspect ratio.
        """
        height, width = image.shape[:2]
        try:
            camera = intrinsics.scaled(width, height)
        except UsageError:
            return
        # The network of the local features loads only where it is needed.
        from progeo_core.inference.feature_extractor import shared_extractor

        found = shared_extractor().find([image], _FEATURES)[0]
        rays = camera.normalized(found.points)
        self._file.add(number, KeyframeFeatures(rays, found.descriptors).to_bytes())

    def refine(
        self,
        closures: tuple[LoopClosure, ...],
        keyframes: Sequence[Keyframe],
    ) -> tuple[LoopClosure, ...]:
        """Return the closures, the newest of them refined; keyframes: all of the session."""
        newest = closures[-_MAX_AT_ONCE:]
        for closure in newest:
            self._update_camera_yaw(closure.query, keyframes)
        refined = tuple(self._refined(closure) for closure in newest)
        return closures[: -len(newest)] + refined

    def _refined(self, closure: LoopClosure) -> LoopClosure:
        query, match = closure.query, closure.match
        view = self._view(query.number, match.number)
        if view is None:
            return closure
        # Without odometry the distance along the bearing is unknown.
        metric = query.metric and match.metric
        bearing = view.bearing_rad + self._camera.yaw_rad if metric else math.nan
        relative = refine_relative(closure.relative, view.turn_rad, bearing, self._spacing_m)
        return closure._replace(relative=relative)

    def _update_camera_yaw(self, keyframe: Keyframe, keyframes: Sequence[Keyframe]) -> None:
        """Compare a keyframe with the one before it, whose relative pose odometry gives."""
        if not keyframe.number:
            return
        before = keyframes[keyframe.number - 1]
        if not (keyframe.metric and before.segment == keyframe.segment):
            return
        x, y, _ = between(before.pose, keyframe.pose)
        if math.hypot(x, y) < _MIN_STEP * self._spacing_m:
            return
        view = self._view(keyframe.number, before.number)
        if view is not None:
            self._camera.add(view.bearing_rad, math.atan2(y, x))

    def _view(self, query: int, match: int) -> TwoViewGeometry | None:
        """Return the geometry of two keyframes, by their numbers; a robot's camera is level."""
        of_query, of_match = self._features_of(query), self._features_of(match)
        if of_query is None or of_match is None:
            return None
        matches = mutual_matches(of_query.descriptors, of_match.descriptors)
        view = two_view_geometry(of_query.rays[matches.first], of_match.rays[matches.second])
        return view if view is not None and view.is_level else None

    def _features_of(self, number: int) -> KeyframeFeatures | None:
        """Return the features of a keyframe's image, None where there are none."""
        if number not in self._features:
            data = self._file.get(number)
            if data is None:
                return None
            if len(self._features) >= _IN_MEMORY:
                del self._features[next(iter(self._features))]
            self._features[number] = KeyframeFeatures.from_bytes(data)
        return self._features[number]


class CameraYaw:
    """Yaw of a camera on its robot, from the newest pairs of successive images."""

    def __init__(self) -> None:
        """Start without pairs."""
        self._pairs: collections.deque[tuple[float, float]] = collections.deque(maxlen=_PAIRS_KEPT)

    def add(self, bearing_rad: float, direction_rad: float) -> None:
        """Add the direction of one step as the camera saw it, and as the robot's odometry gave it.

        Both are counter-clockwise from straight ahead; NaN is ignored.
        """
        yaw = direction_rad - bearing_rad
        if math.isfinite(yaw):
            self._pairs.append((math.cos(yaw), math.sin(yaw)))

    @property
    def yaw_rad(self) -> float:
        """Return the yaw of the camera on its robot, NaN while it is unknown."""
        if len(self._pairs) < _MIN_PAIRS:
            return math.nan
        x, y = np.mean(self._pairs, axis=0)
        return math.atan2(y, x) if math.hypot(x, y) >= _MIN_AGREEMENT else math.nan
