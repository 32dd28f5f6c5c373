"""How many local features of an image and of a place one rigid scene explains.

Mutual matches that fit an essential matrix (Nistér 2004, in LO-RANSAC, PoseLib, Larsson 2020).
Where no lens is known, one of usual width is taken: any between 0.4 and six times its focal length
tells right places from wrong ones alike, and better than a fundamental matrix does, as two degrees
of freedom less explain fewer chance matches.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import poselib
from numpy.typing import NDArray

from progeo_core.geo import FloatArray
from progeo_core.verification.feature_matching import mutual_matches

if TYPE_CHECKING:
    from progeo_core.verification.place_feature_cache import KnownPlace
    from progeo_core.verification.query_view import QueryView

# Fewer matches than this say nothing.
_MIN_MATCHES = 8
# Cosine that a match needs: in poor light, right ones are less alike than those of full poses are.
_MIN_COSINE = 0.7
# Distance from an epipolar line, in pixels of images this wide, of cameras of this focal length.
_ERROR_PX, _WIDTH_PX, _FOCAL_PX = 2.0, 480.0, 400.0
_CAMERA = {"model": "SIMPLE_PINHOLE", "width": 0, "height": 0, "params": [_FOCAL_PX, 0.0, 0.0]}
_MIN_ITERATIONS, _MAX_ITERATIONS, _SUCCESS = 50, 100, 0.99
# So many inliers tell a magnification, each by so many others, if they are so far apart (pixels).
_MIN_MAGNIFIED, _PAIRS, _MIN_APART_PX = 15, 7, 20.0


class Overlap(NamedTuple):
    """What two views share: the number of inliers, and how much larger the first one shows them.

    log_magnification: natural logarithm, NaN where too few tell. Above 0, the first view was taken
    closer to what both show.
    """

    inliers: int
    log_magnification: float


def count_inliers(query: QueryView, place: KnownPlace) -> int:
    """Return the number of matches of an image and a place that fit one rigid scene.

    The cameras may differ in their lenses where both are calibrated.
    """
    return len(_inliers(query, place)[0])


def overlap(query: QueryView, place: KnownPlace) -> Overlap:
    """Return what an image and a place share, of which `count_inliers` returns the number."""
    of_query, of_place = _inliers(query, place)
    return Overlap(len(of_query), _log_magnification(of_query, of_place))


def _inliers(query: QueryView, place: KnownPlace) -> tuple[FloatArray, FloatArray]:
    """Return the points [n, 2] (pixels from the axis) of both views that fit one rigid scene."""
    matches = mutual_matches(query.features.descriptors, place.descriptors, _MIN_COSINE)
    if len(matches.first) < _MIN_MATCHES:
        return np.empty((0, 2)), np.empty((0, 2))
    of_query, of_place = _points(query, place)
    of_query, of_place = of_query[matches.first], of_place[matches.second]
    usable = np.isfinite(of_query).all(axis=1) & np.isfinite(of_place).all(axis=1)
    of_query, of_place = of_query[usable], of_place[usable]
    options = {
        "max_epipolar_error": _ERROR_PX,
        "min_iterations": _MIN_ITERATIONS,
        "max_iterations": _MAX_ITERATIONS,
        "success_prob": _SUCCESS,
    }
    _, found = poselib.estimate_relative_pose(of_query, of_place, _CAMERA, _CAMERA, options)
    inside = np.array(found["inliers"], bool)
    return of_query[inside], of_place[inside]


def _log_magnification(first: FloatArray, second: FloatArray) -> float:
    """Return the median of the log ratios of distances between points [n, 2] of two views."""
    if len(first) < _MIN_MAGNIFIED:
        return math.nan
    # Neighbours in the list of features lie anywhere in the image.
    of_first, of_second = (
        np.concatenate(
            [
                np.linalg.norm(points - np.roll(points, shift, axis=0), axis=1)
                for shift in range(1, _PAIRS + 1)
            ]
        )
        for points in (first, second)
    )
    far = np.minimum(of_first, of_second) > _MIN_APART_PX
    if not far.any():
        return math.nan
    return float(np.median(np.log(of_first[far] / of_second[far])))


def _points(query: QueryView, place: KnownPlace) -> tuple[FloatArray, FloatArray]:
    """Return the points [n, 2], [m, 2] (pixels from the axis) of both views.

    They are without distortion where that is known.
    """
    rays = place.rays
    if query.rays is not None and rays is not None:
        return query.rays * _FOCAL_PX, rays * _FOCAL_PX
    return _scaled(query.features.points, query.features.size), _scaled(place.points, place.size)


def _scaled(points: NDArray[np.float32], size: tuple[int, int]) -> FloatArray:
    from_axis: FloatArray = points - np.array(size) / 2.0
    return from_axis * (_WIDTH_PX / max(size))
