"""Verification of places: an image is compared with the thumbnails of retrieved places.

Two measures count: the similarity of the images cell by cell, and the number of feature matches
that fit one rigid scene, by a fundamental matrix (USAC MAGSAC, Barath 2020).
"""

from __future__ import annotations

import collections
import time
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from progeo_core.geo import FloatArray
from progeo_core.images.codec import Image, decode_image
from progeo_core.images.intrinsics import Intrinsics
from progeo_core.map.place_map import PlaceMap
from progeo_core.verification.dense_similarity import Cells, dense_similarity, similarity_log_odds
from progeo_core.verification.local_features import LocalFeatures, find_features, mutual_matches
from progeo_core.verification.two_view_geometry import TwoViewGeometry, two_view_geometry

# Distance from an epipolar line (pixels), confidence of RANSAC, and its iterations.
_REPROJECTION_PX, _RANSAC_CONFIDENCE, _ITERATIONS = 2.0, 0.999, 300
# Fewer matches than this do not determine a fundamental matrix.
_MIN_MATCHES = 8
# Chance alone finds about 12 inliers in wrong places; 15 are neutral. On small images of corridors
# and of a campus each further one multiplies the odds by 1.3. Few inliers may be due to blur or
# light, so they say little; many may lie on one wall that other places see, too.
_EVEN_INLIERS, _LOG_ODDS_PER_INLIER = 15, 0.3
_MIN_INLIER_ODDS, _MAX_INLIER_ODDS = -1.0, 4.0
# Limits of both measures together.
_MIN_LOG_ODDS, _MAX_LOG_ODDS = -6.0, 3.0
# Places whose features are cached: 300 features of 128 floats and 256 of 96 are 250 kB.
_KEPT = 200


class _View(NamedTuple):
    """Features of one image that are compared."""

    points: LocalFeatures
    cells: Cells


class GeometricVerifier:
    """Verifier of the places of one map; places without a thumbnail cannot be compared."""

    def __init__(self, place_map: PlaceMap) -> None:
        """Start with an empty cache; thumbnails are read when they are needed."""
        self._map = place_map
        self._kept: collections.OrderedDict[int, _View | None] = collections.OrderedDict()
        self._query: tuple[Image, _View] | None = None

    def log_odds(
        self,
        image: Image,
        place_ids: NDArray[np.int64],
        position: FloatArray,
        apart_m: float,
        budget_ms: int,
    ) -> FloatArray:
        """Return the log odds of each place [k] by comparison with its thumbnail.

        position: [k, 3] of the places (m). apart_m: places farther from each other than this do not
        show the same. budget_ms: time after which no further place is compared. Places that were
        not, and those without a thumbnail, have log odds of 0.
        """
        finish = time.monotonic() + budget_ms * 1e-3
        query = self._view_of_query(image)
        odds = np.zeros(len(place_ids))
        views = [
            self._view_of(int(place_id)) if time.monotonic() < finish else None
            for place_id in place_ids
        ]
        seen = np.array([view is not None for view in views], np.bool_)
        compared = [view for view in views if view is not None]
        if not compared:
            return odds
        inliers = np.array([count_inliers(query.points, view.points) for view in compared])
        by_inliers = _LOG_ODDS_PER_INLIER * (inliers - _EVEN_INLIERS)
        similarity = np.array([dense_similarity(query.cells, view.cells) for view in compared])
        odds[seen] = np.clip(by_inliers, _MIN_INLIER_ODDS, _MAX_INLIER_ODDS)
        odds[seen] += similarity_log_odds(similarity, position[seen], apart_m)
        return np.clip(odds, _MIN_LOG_ODDS, _MAX_LOG_ODDS)

    def view_from(
        self, image: Image, place_id: int, intrinsics: Intrinsics
    ) -> TwoViewGeometry | None:
        """Return the geometry of an image and a place's thumbnail, None where it is uncertain."""
        place = self._view_of(place_id)
        if place is None:
            return None
        return two_view_geometry(self._view_of_query(image).points, place.points, intrinsics)

    def _view_of_query(self, image: Image) -> _View:
        """Return the view of an image, computed once for all its comparisons."""
        if self._query is None or self._query[0] is not image:
            self._query = image, _find_view(image)
        return self._query[1]

    def _view_of(self, place_id: int) -> _View | None:
        """Return the view of a place's thumbnail; the latest ones are cached."""
        if place_id not in self._kept:
            jpeg = self._map.thumbnail(place_id)
            source = f"{self._map.path}: thumbnail of place {place_id}"
            self._kept[place_id] = _find_view(decode_image(jpeg, source)) if jpeg else None
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(place_id)
        return self._kept[place_id]


def _find_view(image: Image) -> _View:
    # Only comparisons need torch.
    from progeo_core.verification.dense_features import find_cells

    return _View(find_features(image), find_cells(image))


def count_inliers(first: LocalFeatures, second: LocalFeatures) -> int:
    """Return the number of matches of two views that fit one rigid scene, 0 if too few match."""
    matched, match = mutual_matches(first, second)
    if len(matched) < _MIN_MATCHES:
        return 0
    pairs = first.points[matched], second.points[match]
    try:
        _, inside = cv2.findFundamentalMat(
            *pairs, cv2.USAC_MAGSAC, _REPROJECTION_PX, _RANSAC_CONFIDENCE, _ITERATIONS
        )
    except cv2.error:  # All points coincide or lie on a line.
        return 0
    return 0 if inside is None else int(np.count_nonzero(inside))
