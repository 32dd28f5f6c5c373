"""Two-view geometry of an image and a place: the turn of the camera and its bearing.

An essential matrix (Nistér 2004, with USAC MAGSAC, Barath 2020) between an image and the image of a
place gives the rotation and the direction of the translation, not its length. Both images must be
of one camera that is level; otherwise there is no result.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from progeo_core.geo import FloatArray
from progeo_core.images.intrinsics import Intrinsics
from progeo_core.verification.local_features import LocalFeatures, mutual_matches

# On a campus drive 25 inliers gave yaws within 0.04 rad nine times in ten; fewer err more often.
_MIN_INLIERS = 25
# The share of the inliers that must lie in front of both cameras.
_MIN_IN_FRONT = 0.7
# Distance from an epipolar line (pixels of the small images), and confidence of RANSAC.
_REPROJECTION_PX, _RANSAC_CONFIDENCE = 1.0, 0.999
# Points farther than this many baselines count as in front, too: OpenCV's own limit of 50 takes the
# far points of a camera that turned almost in place for points behind it.
_FARTHEST_BASELINES = 1e6
# A level camera neither tilts nor rolls by more than this (rad) between two visits.
_MAX_TILT_RAD = 0.2
# Images whose aspect ratios differ by more than this are not of one camera.
_ASPECT_TOLERANCE = 0.02


class TwoViewGeometry(NamedTuple):
    """Pose of the query's camera relative to the place's, up to the distance.

    turn_rad: yaw of the query less that of the place. bearing_rad: direction from the place to the
    query, from straight ahead; both counter-clockwise. inliers: matches that agree.
    """

    turn_rad: float
    bearing_rad: float
    inliers: int


def two_view_geometry(
    query: LocalFeatures, place: LocalFeatures, intrinsics: Intrinsics
) -> TwoViewGeometry | None:
    """Return the geometry of a query and a place, None where the images do not determine it."""
    if not (intrinsics.usable and _one_camera(query, place, intrinsics)):
        return None
    matched, match = mutual_matches(query, place)
    if len(matched) < _MIN_INLIERS:
        return None
    matrix = intrinsics.matrix(query.size)
    of_query = _undistorted(query.points[matched], matrix, intrinsics)
    of_place = _undistorted(place.points[match], matrix, intrinsics)
    essential, inside = cv2.findEssentialMat(
        of_query, of_place, matrix, cv2.USAC_MAGSAC, _RANSAC_CONFIDENCE, _REPROJECTION_PX
    )
    if essential is None or essential.shape != (3, 3):
        return None
    inliers = int(np.count_nonzero(inside))
    in_front, rotation, direction, *_ = cv2.recoverPose(
        essential, of_query, of_place, matrix, distanceThresh=_FARTHEST_BASELINES, mask=inside
    )
    if (
        inliers < _MIN_INLIERS
        or in_front < _MIN_IN_FRONT * inliers
        or _tilt(np.asarray(rotation)) > _MAX_TILT_RAD
    ):
        return None
    # Camera axes are right, down, forward: the query's axis and position in those of the place.
    turn = math.atan2(-rotation[0, 2], rotation[2, 2])
    return TwoViewGeometry(turn, math.atan2(-direction[0, 0], direction[2, 0]), inliers)


def _undistorted(
    points: NDArray[np.float32], matrix: FloatArray, intrinsics: Intrinsics
) -> NDArray[np.float32]:
    """Return where a lens without distortion would have put points [n, 2]."""
    distortion = np.array(intrinsics.distortion)
    if not distortion.size:
        return points
    undistort = (
        cv2.fisheye.undistortPoints if intrinsics.model == "fisheye" else cv2.undistortPoints
    )
    undistorted = undistort(points[:, None], matrix, distortion, P=matrix)
    return np.asarray(undistorted, np.float32).reshape(-1, 2)


def _one_camera(query: LocalFeatures, place: LocalFeatures, intrinsics: Intrinsics) -> bool:
    """Whether both images have the aspect ratio of the camera's images."""
    expected = intrinsics.width / intrinsics.height
    ratios = [features.size[0] / features.size[1] / expected for features in (query, place)]
    return all(abs(ratio - 1.0) < _ASPECT_TOLERANCE for ratio in ratios)


def _tilt(rotation: FloatArray) -> float:
    """Return the angle (rad) by which a rotation tilts the vertical."""
    return math.acos(float(np.clip(rotation[1, 1], -1.0, 1.0)))
