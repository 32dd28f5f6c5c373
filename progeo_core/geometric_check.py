"""Do two views really overlap? Compare local features of an image and of a place's thumbnail.

A fundamental matrix (USAC MAGSAC, Barath 2020) tells matches that one rigid scene explains.
"""

from __future__ import annotations

import collections
import math

import cv2
import numpy as np
from numpy.typing import NDArray

from progeo_core.geo import FloatArray
from progeo_core.images import Image, decode_image
from progeo_core.local_features import LocalFeatures, find_features, mutual_matches
from progeo_core.place_map import PlaceMap
from progeo_core.relative_view import Intrinsics, RelativeView, relative_view

# Pixels about an epipolar line, chance that no better matrix exists, and tries.
_REPROJECTION_PX, _SURENESS, _TRIES = 2.0, 0.999, 300
# Fewer matches than this fix no fundamental matrix.
_LEAST_MATCHES = 8
# Chance alone finds about 12 inliers in wrong places; 15 speak neither way. On small pictures of
# corridors and of a campus each further one multiplies the odds by 1.3.
_EVEN_INLIERS, _LOG_ODDS_PER_INLIER = 15, 0.3
# Few inliers may be due to blur or the light, so they say little; many may hang on one wall that
# is seen from elsewhere, too.
_LEAST_LOG_ODDS, _MOST_LOG_ODDS = -1.0, 4.0
# Places whose features are kept: 300 features of 128 floats are 150 kB.
_KEPT = 200


class GeometricCheck:
    """Compare images with places of one map; places without a thumbnail cannot be compared."""

    def __init__(self, place_map: PlaceMap) -> None:
        """Take the map whose thumbnails are read when asked for."""
        self._map = place_map
        self._kept: collections.OrderedDict[int, LocalFeatures | None] = collections.OrderedDict()
        self._query: tuple[Image, LocalFeatures] | None = None

    def log_odds(self, image: Image, place_ids: NDArray[np.int64]) -> FloatArray:
        """Return what the views say for each place [k], as log odds.

        0 says nothing, as for places without a thumbnail.
        """
        query = self._features_of_query(image)
        inliers = np.array([self._inliers(query, int(place_id)) for place_id in place_ids])
        odds: FloatArray = _LOG_ODDS_PER_INLIER * (inliers - _EVEN_INLIERS)
        return np.nan_to_num(np.clip(odds, _LEAST_LOG_ODDS, _MOST_LOG_ODDS), nan=0.0)

    def view_from(self, image: Image, place_id: int, intrinsics: Intrinsics) -> RelativeView | None:
        """Return how the camera of an image stood to a place's, None where that cannot be told."""
        place = self._features_of(place_id)
        if place is None:
            return None
        return relative_view(self._features_of_query(image), place, intrinsics)

    def _features_of_query(self, image: Image) -> LocalFeatures:
        """Return the features of an image, found once however often it is compared."""
        if self._query is None or self._query[0] is not image:
            self._query = image, find_features(image)
        return self._query[1]

    def _inliers(self, query: LocalFeatures, place_id: int) -> float:
        """Return how many matches of a place fit one rigid scene, NaN without a thumbnail."""
        features = self._features_of(place_id)
        return math.nan if features is None else float(count_inliers(query, features))

    def _features_of(self, place_id: int) -> LocalFeatures | None:
        """Return the features of a place's thumbnail; the latest ones are kept."""
        if place_id not in self._kept:
            jpeg = self._map.thumbnail(place_id)
            source = f"{self._map.path}: thumbnail of place {place_id}"
            self._kept[place_id] = find_features(decode_image(jpeg, source)) if jpeg else None
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(place_id)
        return self._kept[place_id]


def count_inliers(first: LocalFeatures, second: LocalFeatures) -> int:
    """Return how many features of two views match and fit one rigid scene, 0 if too few match."""
    matched, match = mutual_matches(first, second)
    if len(matched) < _LEAST_MATCHES:
        return 0
    pairs = first.points[matched], second.points[match]
    try:
        _, inside = cv2.findFundamentalMat(
            *pairs, cv2.USAC_MAGSAC, _REPROJECTION_PX, _SURENESS, _TRIES
        )
    except cv2.error:  # Points that all coincide or lie on a line.
        return 0
    return 0 if inside is None else int(np.count_nonzero(inside))
