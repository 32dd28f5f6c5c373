"""Places whose camera is known, and the matches of their local features that fit their poses."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from progeo_core.errors import UsageError
from progeo_core.geo import FloatArray
from progeo_core.images.intrinsics import Intrinsics
from progeo_core.inference.feature_extractor import LONGEST_SIDE
from progeo_core.map.place_features import PlaceView, unit_descriptors
from progeo_core.poses.camera_pose import CameraPose
from progeo_core.verification.feature_matching import (
    MIN_COSINE,
    MIN_COSINE_NEAR,
    most_similar_pairs,
)
from progeo_core.verification.two_view_geometry import two_view_geometry

IntArray = NDArray[np.int64]

# Distance (pixels) of a match from its epipolar line, where poses are right.
BAND_PX = 4.0
# Matches of two images without regard to their poses: from so many on, the share that fits the
# poses says whether these and the calibration are right.
_MIN_MATCHES, MIN_AGREEMENT = 15, 0.4


class KnownView(NamedTuple):
    """Local features of a camera whose pose and calibration are known.

    rays: [n, 2] where they meet the plane z = 1 of the camera, NaN unknown. descriptors: [n, 64] of
    unit length. pixel: what a pixel of the features' image is on that plane.
    """

    pose: CameraPose
    rotation: FloatArray
    rays: FloatArray
    descriptors: NDArray[np.float32]
    pixel: float

    def distance_to(self, points: FloatArray) -> FloatArray:
        """Return the distances [n] (m) of points [n, 3] in the map frame from the camera."""
        return np.asarray(np.linalg.norm(points - self.pose.position, axis=1))


def known_view(view: PlaceView) -> KnownView | None:
    """Return what triangulation needs of a place, None where something of it is unknown."""
    pose, intrinsics, features = view
    if pose is None or intrinsics is None or features is None:
        return None
    rotation = pose.rotation
    if not np.isfinite(rotation).all():
        return None
    try:
        camera = intrinsics.scaled(*features.size)
    except UsageError:  # The calibration is of other images.
        return None
    descriptors = unit_descriptors(features.descriptors)
    pixel = feature_pixel(camera, features.size)
    return KnownView(pose, rotation, camera.normalized(features.points), descriptors, pixel)


def feature_pixel(camera: Intrinsics, size: tuple[int, int]) -> float:
    """Return what a pixel of the image that features are found in is on the plane z = 1.

    camera: of an image of a size (width, height); features are found at no larger size than theirs.
    """
    return max(1.0, max(size) / LONGEST_SIDE) / camera.focal_x


class PairMatches(NamedTuple):
    """Rows [m] of features of two views that match and fit their poses.

    agreement: share of the matches without regard to the poses that fits them, NaN where there are
    too few to tell. error_px: how far each of these is from its epipolar line (pixels).
    """

    first: IntArray
    second: IntArray
    agreement: float
    error_px: NDArray[np.float32]

    @property
    def contradict(self) -> bool:
        """Whether poses or calibration are wrong: most matches do not fit them."""
        return self.agreement < MIN_AGREEMENT


_NONE = np.empty(0, np.int64)
NO_MATCHES = PairMatches(_NONE, _NONE, np.nan, np.empty(0, np.float32))


def match_views(view: KnownView, other: KnownView, band_px: float = BAND_PX) -> PairMatches:
    """Return the matches of two views along the epipolar lines that their poses give.

    band_px: how far (pixels) from these. Matches that fit neither the poses nor any other geometry
    are chance: two views that show nothing in common do not contradict their poses.
    """
    cosine = view.descriptors @ other.descriptors.T
    squared_px = _squared_distance(view, other)
    first, second = most_similar_pairs(cosine, MIN_COSINE)
    error_px = np.sqrt(squared_px[first, second])
    agreement = float("nan")
    if len(first) >= _MIN_MATCHES:
        agreement = float((error_px < band_px).mean())
        chance = agreement < MIN_AGREEMENT
        if chance and two_view_geometry(view.rays[first], other.rays[second]) is None:
            return NO_MATCHES
    cosine[~(squared_px < band_px**2)] = -1.0
    return PairMatches(*most_similar_pairs(cosine, MIN_COSINE_NEAR), agreement, error_px)


def _squared_distance(view: KnownView, other: KnownView) -> NDArray[np.float32]:
    """Return the distances (pixels²) of all rays [n, m] from the epipolar lines of others.

    NaN where a ray is unknown.
    """
    turn = other.rotation.T @ view.rotation
    x, y, z = other.rotation.T @ (view.pose.position - other.pose.position)
    essential = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]]) @ turn
    # The length of the baseline cancels, but single precision has limits.
    essential /= max(float(np.linalg.norm(essential)), 1e-12)
    first = np.column_stack([view.rays, np.ones(len(view.rays))])
    second = np.column_stack([other.rays, np.ones(len(other.rays))])
    lines, back = first @ essential.T, second @ essential
    residual = lines.astype(np.float32) @ second.T.astype(np.float32)
    # Sampson's distance.
    pixel = max(view.pixel, other.pixel)
    scales = ((one[:, :2] ** 2).sum(axis=1) * pixel**2 for one in (lines, back))
    ahead, behind = (scale.astype(np.float32) for scale in scales)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(residual * residual / (ahead[:, None] + behind))
