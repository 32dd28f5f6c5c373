"""How many local features of an image and of a place one rigid scene explains.

Mutual matches that fit an essential matrix (Nistér 2004, in LO-RANSAC, PoseLib, Larsson 2020).
Where no lens is known, one of usual width is taken: any between 0.4 and six times its focal length
tells right places from wrong ones alike, and better than a fundamental matrix does, as two degrees
of freedom less explain fewer chance matches.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

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


def count_inliers(query: QueryView, place: KnownPlace) -> int:
    """Return the number of matches of an image and a place that fit one rigid scene.

    The cameras may differ in their lenses where both are calibrated.
    """
    matches = mutual_matches(query.features.descriptors, place.descriptors, _MIN_COSINE)
    if len(matches.first) < _MIN_MATCHES:
        return 0
    of_query, of_place = _points(query, place)
    of_query, of_place = of_query[matches.first], of_place[matches.second]
    usable = np.isfinite(of_query).all(axis=1) & np.isfinite(of_place).all(axis=1)
    options = {
        "max_epipolar_error": _ERROR_PX,
        "min_iterations": _MIN_ITERATIONS,
        "max_iterations": _MAX_ITERATIONS,
        "success_prob": _SUCCESS,
    }
    _, found = poselib.estimate_relative_pose(
        of_query[usable], of_place[usable], _CAMERA, _CAMERA, options
    )
    return int(np.count_nonzero(found["inliers"]))


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
