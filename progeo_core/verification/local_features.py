"""Local features of an image, and their matches with those of another image.

Features are RootSIFT (Lowe 2004; Arandjelovic and Zisserman 2012), matched mutually with a ratio
test.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from progeo_core.images.codec import Image

# The size of thumbnails (pixels); larger queries gain nothing and cost more.
_LONGEST_SIDE = 240
_FEATURES, _RATIO = 300, 0.9


class LocalFeatures(NamedTuple):
    """Points [n, 2] (pixels of the small image) and their descriptors [n, 128].

    size: width and height of the small image.
    """

    points: NDArray[np.float32]
    descriptors: NDArray[np.float32]
    size: tuple[int, int]


def find_features(image: Image) -> LocalFeatures:
    """Find the features of an RGB image [h, w, 3] after scaling it down and equalizing contrast."""
    detector = cv2.SIFT_create(_FEATURES, contrastThreshold=0.01)  # type: ignore[attr-defined]
    grey = _small_grey(image)
    size = grey.shape[1], grey.shape[0]
    keypoints, descriptors = detector.detectAndCompute(grey, None)
    if descriptors is None:
        return LocalFeatures(np.empty((0, 2), np.float32), np.empty((0, 128), np.float32), size)
    total = np.maximum(descriptors.sum(axis=1, keepdims=True), 1e-6)
    points = np.array([keypoint.pt for keypoint in keypoints], np.float32)
    return LocalFeatures(points, np.sqrt(descriptors / total).astype(np.float32), size)


def mutual_matches(
    first: LocalFeatures, second: LocalFeatures
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the rows [m] of features in the first and second view that are mutual matches.

    A match passes the ratio test: it is clearly nearer than the second nearest feature.
    """
    if len(first.points) == 0 or len(second.points) < 2:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    cosine = first.descriptors @ second.descriptors.T
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
