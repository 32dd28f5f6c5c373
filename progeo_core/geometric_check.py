"""Do two views really overlap? Compare local features of an image and of a place's thumbnail.

Features are RootSIFT (Lowe 2004; Arandjelovic and Zisserman 2012), matched both ways with a ratio
test; a fundamental matrix (USAC MAGSAC, Barath 2020) tells matches that one rigid scene explains.
"""

from __future__ import annotations

import collections
import math
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from progeo_core.geo import FloatArray
from progeo_core.images import Image, decode_image
from progeo_core.place_map import PlaceMap

# The size that thumbnails have; larger queries gain nothing and cost more.
_LONGEST_SIDE = 240
_FEATURES, _RATIO = 300, 0.9
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


class LocalFeatures(NamedTuple):
    """Hold points [n, 2] (pixels of the small picture) and their descriptors [n, 128]."""

    points: NDArray[np.float32]
    descriptors: NDArray[np.float32]


class GeometricCheck:
    """Compare images with places of one map; places without a thumbnail cannot be compared."""

    def __init__(self, place_map: PlaceMap) -> None:
        """Take the map whose thumbnails are read when asked for."""
        self._map = place_map
        self._kept: collections.OrderedDict[int, LocalFeatures | None] = collections.OrderedDict()

    def log_odds(self, image: Image, place_ids: NDArray[np.int64]) -> FloatArray:
        """Return what the views say for each place [k], as log odds.

        0 says nothing, as for places without a thumbnail.
        """
        query = find_features(image)
        inliers = np.array([self._inliers(query, int(place_id)) for place_id in place_ids])
        odds: FloatArray = _LOG_ODDS_PER_INLIER * (inliers - _EVEN_INLIERS)
        return np.nan_to_num(np.clip(odds, _LEAST_LOG_ODDS, _MOST_LOG_ODDS), nan=0.0)

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


def find_features(image: Image) -> LocalFeatures:
    """Find the features of an RGB image [h, w, 3], made small and of even contrast."""
    detector = cv2.SIFT_create(_FEATURES, contrastThreshold=0.01)  # type: ignore[attr-defined]
    keypoints, descriptors = detector.detectAndCompute(_small_grey(image), None)
    if descriptors is None:
        return LocalFeatures(np.empty((0, 2), np.float32), np.empty((0, 128), np.float32))
    total = np.maximum(descriptors.sum(axis=1, keepdims=True), 1e-6)
    points = np.array([keypoint.pt for keypoint in keypoints], np.float32)
    return LocalFeatures(points, np.sqrt(descriptors / total).astype(np.float32))


def count_inliers(first: LocalFeatures, second: LocalFeatures) -> int:
    """Return how many features of two views match and fit one rigid scene, 0 if too few match."""
    if min(len(first.points), len(second.points)) < _LEAST_MATCHES:
        return 0
    matched, match = _mutual_matches(first.descriptors @ second.descriptors.T)
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


def _mutual_matches(
    cosine: NDArray[np.float32],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return rows and columns of pairs that prefer each other, clearly before the row's second."""
    rows = np.arange(len(cosine))
    best = cosine.argmax(axis=1)
    distance = 1.0 - cosine[rows, best]
    others = cosine.copy()
    others[rows, best] = -1.0
    # Squared distances of unit vectors are 2 - 2 cosine.
    clear = distance < _RATIO**2 * (1.0 - others.max(axis=1))
    kept = clear & (cosine.argmax(axis=0)[best] == rows)
    return rows[kept], best[kept]


def _small_grey(image: Image) -> NDArray[np.uint8]:
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    scale = _LONGEST_SIDE / max(grey.shape)
    kind = cv2.INTER_AREA if scale < 1.0 else cv2.INTER_CUBIC
    size = tuple(max(1, round(side * scale)) for side in grey.shape[::-1])
    even = cv2.createCLAHE(3.0, (8, 8)).apply(cv2.resize(grey, size, interpolation=kind))
    return np.asarray(even, np.uint8)
