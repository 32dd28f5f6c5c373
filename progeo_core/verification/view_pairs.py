"""Pairs of calibrated views at rough positions, and how one camera is turned to the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from progeo_core.geo import FloatArray
from progeo_core.progress import Advance, no_progress
from progeo_core.verification.feature_matching import mutual_matches
from progeo_core.verification.two_view_geometry import two_view_geometry

IntArray = NDArray[np.int64]

# Views are compared with those nearest by position, and with the next ones in their order.
_NEAREST, _NEXT = 20, 5


class RoughView(NamedTuple):
    """Local features of a calibrated camera at a rough position [3] (m).

    rays: [n, 2] where they meet its plane z = 1, all finite. descriptors: [n, 64] of unit length.
    pixel: what a pixel of the image is on that plane.
    """

    position: FloatArray
    rays: FloatArray
    descriptors: NDArray[np.float32]
    pixel: float


class ViewPair(NamedTuple):
    """Geometry of two views, by their rows, and the rows of the features that fit it.

    rotation: [3, 3] turns the axes of the second camera into those of the first. direction: [3] of
    unit length, from the first camera to the second, in the axes of the first. parallax_rad: angle
    between the rays of a feature, as the median.
    """

    views: tuple[int, int]
    rotation: FloatArray
    direction: FloatArray
    features: tuple[IntArray, IntArray]
    parallax_rad: float

    @property
    def matches(self) -> int:
        """Return how many features fit."""
        return len(self.features[0])


def view_pairs(views: Sequence[RoughView], advance: Advance = no_progress) -> list[ViewPair]:
    """Return the pairs of views that show the same; `advance` counts views."""
    pairs = []
    for first, others in enumerate(_partners(np.stack([view.position for view in views]))):
        for second in others:
            pair = _paired(first, second, views)
            if pair is not None:
                pairs.append(pair)
        advance(1)
    return pairs


def _paired(first: int, second: int, views: Sequence[RoughView]) -> ViewPair | None:
    found = mutual_matches(views[first].descriptors, views[second].descriptors)
    rays, others = views[first].rays[found.first], views[second].rays[found.second]
    geometry = two_view_geometry(others, rays)
    if geometry is None:
        return None
    fits, turned = geometry.fits, _directions(others) @ geometry.rotation.T
    cosine = (_directions(rays) * turned).sum(axis=1)[fits]
    return ViewPair(
        (first, second),
        geometry.rotation,
        geometry.direction,
        (found.first[fits], found.second[fits]),
        float(np.arccos(np.clip(np.median(cosine), -1.0, 1.0))),
    )


def _directions(rays: FloatArray) -> FloatArray:
    """Return rays [n, 2] as directions [n, 3] of unit length."""
    full = np.column_stack([rays, np.ones(len(rays))])
    return np.asarray(full / np.linalg.norm(full, axis=1, keepdims=True))


def _partners(position: FloatArray) -> Iterator[list[int]]:
    """Yield, for each view, the later views that may show the same; each pair comes once."""
    count = len(position)
    _, near = cKDTree(position).query(position, min(count, _NEAREST + 1))
    known = [set(rows) for rows in np.reshape(near, (count, -1)).tolist()]
    for row in range(count):
        yield [
            other
            for other in range(row + 1, count)
            if other <= row + _NEXT or other in known[row] or row in known[other]
        ]
