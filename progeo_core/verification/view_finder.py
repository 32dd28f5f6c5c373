"""Local features of the images of a map, with landmarks where their depth is known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from progeo_core.images.codec import Image
from progeo_core.images.depth import FloatArray32, depth_at
from progeo_core.images.intrinsics import Intrinsics
from progeo_core.map.place_features import (
    PLACE_FEATURES,
    PlaceFeatures,
    PlaceView,
    StructureNote,
)
from progeo_core.poses.camera_pose import CameraPose
from progeo_core.verification.feature_extractor import LONGEST_SIDE, FeatureExtractor, Keypoints

# Standard deviation of a depth camera, as a share of the depth.
_DEPTH_SIGMA = 0.01


class DepthViewFinder:
    """Finder of local features, and of landmarks by depth images (see `ViewFinder`)."""

    note: StructureNote
    image_side = LONGEST_SIDE

    def __init__(self, extractor: FeatureExtractor, features: int = PLACE_FEATURES) -> None:
        """Find the best `features` of each image."""
        self._extractor, self._features = extractor, features
        self.note = StructureNote(extractor.name, "depth")

    def find(
        self,
        images: Sequence[Image],
        depths: Sequence[FloatArray32 | None],
        poses: Sequence[CameraPose | None],
        intrinsics: Sequence[Intrinsics | None],
    ) -> list[PlaceView]:
        """Return the view of every image; without depth, pose or calibration it has no landmarks.

        Raises `UsageError` for a calibration of images with another aspect ratio.
        """
        found = self._extractor.find(images, self._features)
        return [
            PlaceView(pose, camera, _features_of(keypoints, depth, pose, camera))
            for keypoints, depth, pose, camera in zip(found, depths, poses, intrinsics, strict=True)
        ]


def _features_of(
    keypoints: Keypoints,
    depth: FloatArray32 | None,
    pose: CameraPose | None,
    intrinsics: Intrinsics | None,
) -> PlaceFeatures:
    count = len(keypoints.points)
    landmarks = np.full((count, 3), np.nan)
    sigma_m = np.full(count, np.nan, np.float32)
    if depth is not None and pose is not None and intrinsics is not None:
        camera = intrinsics.scaled(*keypoints.size)
        distance = depth_at(depth, keypoints.points, keypoints.size).astype(np.float64)
        rays = camera.normalized(keypoints.points)
        seen = np.column_stack([rays, np.ones(count)]) * distance[:, None]
        landmarks = pose.to_map(seen)
        unknown = ~np.isfinite(landmarks).all(axis=1)
        landmarks[unknown] = np.nan
        sigma_m = np.where(unknown, np.nan, _DEPTH_SIGMA * distance).astype(np.float32)
    descriptors = np.round(keypoints.descriptors * 127.0).astype(np.int8)
    return PlaceFeatures(keypoints.points, descriptors, landmarks, sigma_m, keypoints.size)
