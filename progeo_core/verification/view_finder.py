"""Local features of the images of a map, with landmarks where their depth is known."""

from __future__ import annotations

import collections
import logging
from collections.abc import Sequence

import numpy as np

from progeo_core.errors import UsageError
from progeo_core.images.codec import Image
from progeo_core.images.depth import FloatArray32, depth_at
from progeo_core.images.intrinsics import Intrinsics
from progeo_core.inference.feature_extractor import LONGEST_SIDE, FeatureExtractor, Keypoints
from progeo_core.map.place_features import (
    PLACE_FEATURES,
    PlaceFeatures,
    PlaceView,
    StructureNote,
    descriptor_bytes,
)
from progeo_core.poses.camera_pose import CameraPose

_log = logging.getLogger(__name__)

# Standard deviation of a depth camera, as a share of the depth.
_DEPTH_SIGMA = 0.01
# The shares of a depth camera are one up to this much of it, as files round.
_ONE_SHARE = 2e-3
# The aspect ratios of an image and of its depth agree this closely.
_ASPECT_TOLERANCE = 0.02
# No depth camera sees so little (m): the numbers are metres that were taken for millimetres.
_MIN_DEPTH_M = 0.1


class DepthViewFinder:
    """Finder of local features, and of landmarks by depth images (see `ViewFinder`).

    features: how many there are of an image. faults: counts of images whose calibration or depth
    cannot be used, by the reason; their places have features only.
    """

    image_side = LONGEST_SIDE

    def __init__(
        self, extractor: FeatureExtractor, features: int = PLACE_FEATURES, candidates: int = 0
    ) -> None:
        """Find the best `features` of each image.

        candidates: how many there are of a place whose landmarks can be triangulated, which chooses
        among them; 0 for no more than of the others.
        """
        self._extractor, self.features = extractor, features
        self._candidates = max(features, candidates)
        self._has_landmarks = False
        self.faults: collections.Counter[str] = collections.Counter()

    @property
    def note(self) -> StructureNote:
        """Return what a map says of the features and points found so far."""
        return StructureNote(self._extractor.name, "depth" if self._has_landmarks else "")

    def find(
        self,
        images: Sequence[Image],
        depths: Sequence[FloatArray32 | None],
        poses: Sequence[CameraPose | None],
        intrinsics: Sequence[Intrinsics | None],
    ) -> list[PlaceView]:
        """Return the view of every image; without depth, pose or calibration it has no landmarks.

        Depth and calibration of images with another aspect ratio count as none, see `faults`.
        """
        found = self._extractor.find(images, self._candidates)
        return [
            self._view(*columns) for columns in zip(found, depths, poses, intrinsics, strict=True)
        ]

    def fitting(self, intrinsics: Intrinsics, size: tuple[int, int]) -> Intrinsics | None:
        """Return a calibration for images of a size; None, and count it, where it is of others."""
        try:
            return intrinsics.scaled(*size)
        except UsageError as error:
            self._count(str(error))
            return None

    def _view(
        self,
        keypoints: Keypoints,
        depth: FloatArray32 | None,
        pose: CameraPose | None,
        intrinsics: Intrinsics | None,
    ) -> PlaceView:
        features = _without_depth(keypoints)
        best = features.rows(np.arange(min(self.features, len(features.points))))
        camera = None if intrinsics is None else self.fitting(intrinsics, keypoints.size)
        if camera is None:
            return PlaceView(pose, None, best)
        fault = None if depth is None else _depth_fault(depth, keypoints.size)
        if fault is not None:
            self._count(fault)
        if pose is None or not np.isfinite(pose.rotation).all():
            return PlaceView(pose, intrinsics, best)
        if depth is not None and fault is None:
            best = _with_landmarks(best, depth, pose, camera)
            if best.has_landmark.any():
                self._has_landmarks = True
                return PlaceView(pose, intrinsics, best)
        return PlaceView(pose, intrinsics, features)

    def _count(self, fault: str) -> None:
        if not self.faults[fault]:
            _log.warning("places without 3-D points: %s", fault)
        self.faults[fault] += 1


def _without_depth(keypoints: Keypoints) -> PlaceFeatures:
    count = len(keypoints.points)
    return PlaceFeatures(
        keypoints.points,
        descriptor_bytes(keypoints.descriptors),
        np.full((count, 3), np.nan),
        np.full(count, np.nan, np.float32),
        keypoints.size,
    )


def _with_landmarks(
    features: PlaceFeatures, depth: FloatArray32, pose: CameraPose, camera: Intrinsics
) -> PlaceFeatures:
    distance = depth_at(depth, features.points, features.size).astype(np.float64)
    rays = camera.normalized(features.points)
    landmarks = pose.to_map(np.column_stack([rays, np.ones(len(rays))]) * distance[:, None])
    unknown = ~np.isfinite(landmarks).all(axis=1)
    landmarks[unknown] = np.nan
    sigma_m = np.where(unknown, np.nan, _DEPTH_SIGMA * distance).astype(np.float32)
    return features._replace(landmarks=landmarks, sigma_m=sigma_m)


def is_by_depth(view: PlaceView) -> bool:
    """Whether the landmarks of a view are by depth: all deviate by one share of their depth."""
    if view.pose is None or view.features is None:
        return False
    known = view.features.has_landmark
    depth = view.pose.to_camera(view.features.landmarks[known])[:, 2]
    share = view.features.sigma_m[known] / depth
    return bool(share.size and np.allclose(share, share[0], rtol=_ONE_SHARE, atol=0.0))


def _depth_fault(depth: FloatArray32, size: tuple[int, int]) -> str | None:
    """Return why a depth cannot be that of an image of a size (width, height), None if it can."""
    height, width = depth.shape
    if abs(width * size[1] / (height * size[0]) - 1.0) > _ASPECT_TOLERANCE:
        return (
            f"a depth of {width}x{height} pixels is not that of an image of {size[0]}x{size[1]}:"
            " register it to the image, so that both show the same"
        )
    known = depth[np.isfinite(depth)]
    if known.size and known.max() < _MIN_DEPTH_M:
        return (
            "no depth is over 0.1 m: a picture of 16 bits is read as millimetres, and its values"
            " look like metres; write metres as a TIFF of 32-bit floats"
        )
    return None
