"""Refine loop closures by the images of their keyframes, where the camera is calibrated.

The keyframes around a match tell the landmarks that it shows, in metres, by the odometry between
them. The query's camera is located against these. Where that does not answer, two images still tell
the turn of the camera.
"""

from __future__ import annotations

import collections
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from progeo_core.errors import UsageError
from progeo_core.geo import FloatArray
from progeo_core.inference.feature_extractor import FeatureExtractor
from progeo_core.localization.answer import CameraFrame
from progeo_core.map.place_features import DESCRIPTOR_VALUES
from progeo_core.poses.transform import Transform
from progeo_core.slam.keyframe_features import KeyframeFeatures
from progeo_core.slam.keyframe_file import KeyframeFile
from progeo_core.slam.keyframes import Keyframe
from progeo_core.slam.loop_closure import LoopClosure
from progeo_core.slam.loop_pose import RelativePose, relative_of_base, turned_relative
from progeo_core.verification.absolute_pose import FINAL_ERROR_PX, absolute_pose
from progeo_core.verification.feature_matching import mutual_matches
from progeo_core.verification.feature_tracks import direct_tracks
from progeo_core.verification.known_view import feature_pixel
from progeo_core.verification.triangulation import triangulate
from progeo_core.verification.two_view_geometry import two_view_geometry
from progeo_core.verification.view_neighbors import ViewNeighbors

# The first closures of a revisit come up to 15 at once, and each takes up to 0.1 s.
_MAX_AT_ONCE = 3
# Local features kept of a keyframe: 37 kB on disk. So many keyframes' are in memory, 130 kB each.
_FEATURES, _IN_MEMORY = 512, 32
# Keyframes before and after a match, with which its features are triangulated.
_AROUND = 6
# Keyframes before and after a match whose landmarks count beside its own.
_JOINED = 1
# Landmarks that must fit a pose.
_MIN_LANDMARKS = 25
# Landmarks err with the odometry between their keyframes: variances (m², rad²) with which the
# ellipsoids hold in an office, where it drifts by 1 %.
_ODOMETRY_FLOOR = np.diag([0.02**2] * 3 + [0.01**2] * 3)


class LocatedFeatures(NamedTuple):
    """Descriptors [n, 64] of a keyframe's features and their landmarks [n, 3] (m)."""

    descriptors: NDArray[np.float32]
    landmarks: FloatArray


class LoopRefiner:
    """Local features of the keyframes of one camera, and the refinement of closures by them."""

    def __init__(self, extractor: FeatureExtractor) -> None:
        """Start without keyframes; extractor: of their local features."""
        self._extractor = extractor
        self._file = KeyframeFile()
        self._features: collections.OrderedDict[int, KeyframeFeatures | None]
        self._features = collections.OrderedDict()
        self._located_features: collections.OrderedDict[int, LocatedFeatures]
        self._located_features = collections.OrderedDict()

    def keep(self, number: int, frame: CameraFrame, robot: Transform | None) -> None:
        """Store the local features of the newest keyframe.

        There are none where the calibration is of images with another aspect ratio. robot: its pose
        in the frame of the odometry, None unknown.
        """
        height, width = frame.image.shape[:2]
        try:
            camera = None if frame.intrinsics is None else frame.intrinsics.scaled(width, height)
        except UsageError:
            return
        if camera is None:
            return
        found = self._extractor.find([frame.image], _FEATURES)[0]
        pixel = feature_pixel(camera, (width, height))
        rays = camera.normalized(found.points)
        features = KeyframeFeatures(rays, found.descriptors, pixel, robot, frame.extrinsics)
        self._file.add(number, features.to_bytes())

    def refine(
        self, closures: tuple[LoopClosure, ...], keyframes: Sequence[Keyframe]
    ) -> tuple[LoopClosure, ...]:
        """Return the closures, the newest of them refined; keyframes: all of the session."""
        newest = closures[-_MAX_AT_ONCE:]
        refined = tuple(
            one._replace(relative=self._refined(one, keyframes) or one.relative) for one in newest
        )
        return closures[: -len(newest)] + refined

    def _refined(self, closure: LoopClosure, keyframes: Sequence[Keyframe]) -> RelativePose | None:
        query, match = (self._of(one.number) for one in (closure.query, closure.match))
        if query is None or match is None:
            return None
        located = self._located(query, match, closure.match, keyframes)
        if located is not None:
            return located if located.agrees_with(closure.relative) else None
        matches = mutual_matches(query.descriptors, match.descriptors)
        view = two_view_geometry(query.rays[matches.first], match.rays[matches.second])
        if view is None or not view.is_level:  # A robot's camera is level.
            return None
        return turned_relative(closure.relative, view.turn_rad)

    def _located(
        self,
        query: KeyframeFeatures,
        match: KeyframeFeatures,
        keyframe: Keyframe,
        keyframes: Sequence[Keyframe],
    ) -> RelativePose | None:
        """Return the query's pose by the landmarks of a match, None where they do not tell it."""
        if match.robot is None or query.extrinsics is None:
            return None
        usable = np.flatnonzero(np.isfinite(query.rays).all(axis=1))
        rays, landmarks = [np.empty((0, 2))], [np.empty((0, 3))]
        for number in range(keyframe.number - _JOINED, keyframe.number + _JOINED + 1):
            known = self._landmarks(number, keyframes)
            pairs = mutual_matches(query.descriptors[usable], known.descriptors)
            rays.append(query.rays[usable[pairs.first]])
            landmarks.append(known.landmarks[pairs.second])
        found = absolute_pose(np.concatenate(rays), np.concatenate(landmarks), FINAL_ERROR_PX)
        if found is None or np.count_nonzero(found.inliers) < _MIN_LANDMARKS:
            return None
        covariance = found.covariance + _ODOMETRY_FLOOR
        base = query.extrinsics.base_estimate(found.pose, covariance, 1.0)
        return relative_of_base(match.robot, base)

    def _landmarks(self, number: int, keyframes: Sequence[Keyframe]) -> LocatedFeatures:
        """Return the landmarks of a keyframe, whose neighbours on both sides have come."""
        if number not in self._located_features:
            self._located_features[number] = self._triangulated(number, keyframes)
            if len(self._located_features) > _IN_MEMORY:
                self._located_features.popitem(last=False)
        return self._located_features[number]

    def _triangulated(self, number: int, keyframes: Sequence[Keyframe]) -> LocatedFeatures:
        views = {
            other: view
            for other in range(number - _AROUND, number + _AROUND + 1)
            if 0 <= other < len(keyframes)
            and keyframes[other].segment == keyframes[number].segment
            and (features := self._of(other)) is not None
            and (view := features.view) is not None
        }
        if number not in views:
            return LocatedFeatures(np.empty((0, DESCRIPTOR_VALUES), np.float32), np.empty((0, 3)))
        known = list(views.values())
        position = np.stack([one.pose.position for one in known])
        rotation = np.stack([one.rotation for one in known])
        rows = ViewNeighbors(position, rotation).of(list(views).index(number))
        own, others = views[number], [known[row] for row in rows.tolist()]
        found = triangulate(own, others, direct_tracks(own, others)).landmarks
        usable = np.isfinite(found).all(axis=1)
        return LocatedFeatures(own.descriptors[usable], found[usable])

    def _of(self, number: int) -> KeyframeFeatures | None:
        """Return the features of a keyframe's image, None where there are none."""
        if number not in self._features:
            data = self._file.get(number)
            self._features[number] = None if data is None else KeyframeFeatures.from_bytes(data)
            if len(self._features) > _IN_MEMORY:
                self._features.popitem(last=False)
        return self._features[number]
