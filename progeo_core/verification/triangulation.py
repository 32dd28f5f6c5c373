"""Landmarks of a place's local features, triangulated with neighbouring places of known poses.

Matches are searched along the epipolar lines that the poses give. A landmark needs three views that
agree on it; points by two views at a time are the hypotheses, the one that most views agree with is
refined over them (Hartley and Zisserman 2004, chapter 12; Schönberger and Frahm 2016, section 4.3).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from progeo_core.errors import UsageError
from progeo_core.geo import FloatArray
from progeo_core.map.place_features import PlaceView
from progeo_core.poses.camera_pose import CameraPose
from progeo_core.verification.feature_extractor import LONGEST_SIDE
from progeo_core.verification.feature_matching import MIN_COSINE, MIN_COSINE_NEAR

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

# Distance (pixels) of a match from its epipolar line, and of an observation from its landmark.
_BAND_PX, _MAX_ERROR_PX = 4.0, 3.0
# Views that must agree on a landmark, and the angle (rad) that its rays must span.
_MIN_VIEWS, _MIN_PARALLAX_RAD = 3, np.radians(2.0)
# A landmark less certain than this share of its distance is worth nothing.
_MAX_RELATIVE_SIGMA = 0.08
# Standard deviation of a feature's point (pixels).
_SIGMA_PX = 1.0
_ITERATIONS = 6
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


class Triangulated(NamedTuple):
    """Landmarks [n, 3] (m) of a place's features in the map frame, and their deviations [n] (m).

    Both are NaN where a feature has none. agreement: [k] share of the matches with each neighbour
    that fits the poses, NaN where there are too few to tell.
    """

    landmarks: FloatArray
    sigma_m: NDArray[np.float32]
    agreement: FloatArray


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
    descriptors = features.descriptors.astype(np.float32)
    descriptors /= np.maximum(np.linalg.norm(descriptors, axis=1, keepdims=True), 1e-6)
    # Features are found at no larger size.
    pixel = max(1.0, max(features.size) / LONGEST_SIDE) / camera.focal_x
    return KnownView(pose, rotation, camera.normalized(features.points), descriptors, pixel)


def triangulate(view: KnownView, neighbors: Sequence[KnownView]) -> Triangulated:
    """Return the landmarks of a view's features from its neighbours'."""
    count = len(view.rays)
    seen = np.full((len(neighbors), count, 2), np.nan)
    agreement = np.full(len(neighbors), np.nan)
    for row, neighbor in enumerate(neighbors):
        matches = _match(view, neighbor)
        agreement[row] = matches.agreement
        if not agreement[row] < MIN_AGREEMENT:
            seen[row, matches.first] = neighbor.rays[matches.second]
    landmarks = np.full((count, 3), np.nan)
    sigma_m = np.full(count, np.nan, np.float32)
    rows = np.flatnonzero(np.isfinite(seen[..., 0]).sum(axis=0) >= _MIN_VIEWS - 1)
    if rows.size:
        star = _Star.of(view, neighbors, rows, seen[:, rows])
        points, deviation = star.points()
        landmarks[rows], sigma_m[rows] = view.pose.to_map(points), deviation
    return Triangulated(landmarks, sigma_m, agreement)


class _Matches(NamedTuple):
    """Rows of features of two views that match, and how far free matches fit the poses."""

    first: IntArray
    second: IntArray
    agreement: float


def _match(view: KnownView, other: KnownView) -> _Matches:
    cosine = view.descriptors @ other.descriptors.T
    near = _near_epipolar(view, other)
    first, second = _mutual(cosine, MIN_COSINE)
    agreement = near[first, second].mean() if len(first) >= _MIN_MATCHES else np.nan
    cosine[~near] = -1.0
    return _Matches(*_mutual(cosine, MIN_COSINE_NEAR), float(agreement))


def _mutual(cosine: NDArray[np.float32], min_cosine: float) -> tuple[IntArray, IntArray]:
    best = cosine.argmax(axis=1)
    rows = np.arange(len(cosine))
    kept = (cosine.argmax(axis=0)[best] == rows) & (cosine[rows, best] >= min_cosine)
    return rows[kept], best[kept]


def _near_epipolar(view: KnownView, other: KnownView) -> BoolArray:
    """Return which rays of a view may see what those of another see, as [n, m]."""
    turn = other.rotation.T @ view.rotation
    x, y, z = other.rotation.T @ (view.pose.position - other.pose.position)
    essential = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]]) @ turn
    first = np.column_stack([view.rays, np.ones(len(view.rays))])
    second = np.column_stack([other.rays, np.ones(len(other.rays))])
    lines, back = first @ essential.T, second @ essential
    residual = lines @ second.T
    # Sampson's distance.
    scale = (lines[:, :2] ** 2).sum(axis=1)[:, None] + (back[:, :2] ** 2).sum(axis=1)
    limit = _BAND_PX * max(view.pixel, other.pixel)
    return np.asarray(residual**2 < limit**2 * scale)


class _Star(NamedTuple):
    """Features of one view with their observations in its neighbours.

    rays: [n, 3] of the view. turn: [k, 3, 3] and shift: [k, 3] take points of the view's frame into
    a neighbour's. seen: [k, n, 2] rays of the neighbours, NaN unknown. pixel: [k].
    """

    rays: FloatArray
    turn: FloatArray
    shift: FloatArray
    seen: FloatArray
    pixel: FloatArray

    @classmethod
    def of(
        cls, view: KnownView, neighbors: Sequence[KnownView], rows: IntArray, seen: FloatArray
    ) -> _Star:
        turn = np.stack([other.rotation.T @ view.rotation for other in neighbors])
        shift = np.stack(
            [other.rotation.T @ (view.pose.position - other.pose.position) for other in neighbors]
        )
        rays = np.column_stack([view.rays[rows], np.ones(len(rows))])
        # The view observes its own features, too.
        own = view.rays[rows][None]
        return cls(
            rays,
            np.concatenate([np.eye(3)[None], turn]),
            np.concatenate([np.zeros((1, 3)), shift]),
            np.concatenate([own, seen]),
            np.array([view.pixel, *(other.pixel for other in neighbors)]),
        )

    def points(self) -> tuple[FloatArray, FloatArray]:
        """Return the points [n, 3] in the view's frame and their deviations [n], NaN refused."""
        points, fits = self._best_hypotheses()
        for _ in range(_ITERATIONS):
            points = points + self._step(points, fits)
            fits = self._fits(points)
        sigma_m = self._sigma(points, fits)
        distance = np.linalg.norm(points, axis=1)
        with np.errstate(invalid="ignore"):
            sound = (
                (fits.sum(axis=0) >= _MIN_VIEWS)
                & fits[0]
                & (self._parallax(points, fits) >= _MIN_PARALLAX_RAD)
                & (sigma_m <= _MAX_RELATIVE_SIGMA * distance)
            )
        points[~sound], sigma_m[~sound] = np.nan, np.nan
        return points, sigma_m

    def _best_hypotheses(self) -> tuple[FloatArray, BoolArray]:
        """Return of the points by two views those that most views agree with, and which [k, n]."""
        ahead = np.concatenate([self.seen, np.ones((*self.seen.shape[:2], 1))], axis=2)[1:]
        direction = np.einsum("kij,nj->kni", self.turn[1:], self.rays)
        across = np.cross(ahead, direction)
        with np.errstate(invalid="ignore", divide="ignore"):
            depth = -(across * np.cross(ahead, self.shift[1:, None])).sum(-1) / (across**2).sum(-1)
        best = np.full((len(self.rays), 3), np.nan)
        fits = np.zeros(self.seen.shape[:2], np.bool_)
        for row in depth:
            points = self.rays * row[:, None]
            found = self._fits(points)
            better = found.sum(axis=0) > fits.sum(axis=0)
            best[better], fits[:, better] = points[better], found[:, better]
        return best, fits

    def _projected(self, points: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return points [n, 3] in the frames of all views [k, n, 3], and their rays there."""
        inside = np.einsum("kij,nj->kni", self.turn, points) + self.shift[:, None]
        with np.errstate(invalid="ignore", divide="ignore"):
            return inside, inside[..., :2] / inside[..., 2:]

    def _fits(self, points: FloatArray) -> BoolArray:
        """Return which observations [k, n] agree with points [n, 3]."""
        inside, rays = self._projected(points)
        with np.errstate(invalid="ignore"):
            error = np.linalg.norm(rays - self.seen, axis=2)
            return (error < _MAX_ERROR_PX * self.pixel[:, None]) & (inside[..., 2] > 0.0)

    def _normal_equations(
        self, points: FloatArray, fits: BoolArray
    ) -> tuple[FloatArray, FloatArray]:
        """Return the information [n, 3, 3] about points (per pixel²) and the gradient [n, 3]."""
        inside, rays = self._projected(points)
        depth = inside[..., 2]
        zero = np.zeros_like(depth)
        with np.errstate(invalid="ignore", divide="ignore"):
            projection = np.stack(
                [
                    np.stack([1.0 / depth, zero, -rays[..., 0] / depth], axis=-1),
                    np.stack([zero, 1.0 / depth, -rays[..., 1] / depth], axis=-1),
                ],
                axis=-2,
            )
        scale = 1.0 / self.pixel[:, None, None]
        jacobian = np.einsum("knab,kbc->knac", projection, self.turn) * scale[..., None]
        residual = (rays - self.seen) * scale
        jacobian[~fits], residual[~fits] = 0.0, 0.0
        return (
            np.einsum("knab,knac->nbc", jacobian, jacobian),
            np.einsum("knab,kna->nb", jacobian, residual),
        )

    def _step(self, points: FloatArray, fits: BoolArray) -> FloatArray:
        """Return the step [n, 3] of Gauss and Newton's method."""
        information, gradient = self._normal_equations(points, fits)
        damped = information + 1e-9 * np.trace(information, axis1=1, axis2=2)[
            :, None, None
        ] * np.eye(3)
        usable = fits.sum(axis=0) >= _MIN_VIEWS
        damped[~usable], gradient[~usable] = np.eye(3), 0.0
        return -np.linalg.solve(damped, gradient[..., None])[..., 0]

    def _sigma(self, points: FloatArray, fits: BoolArray) -> FloatArray:
        """Return the deviation [n] (m) of points in their least certain direction."""
        information, _ = self._normal_equations(points, fits)
        smallest = np.linalg.eigvalsh(np.nan_to_num(information))[:, 0]
        return _SIGMA_PX / np.sqrt(np.maximum(smallest, 1e-12))

    def _parallax(self, points: FloatArray, fits: BoolArray) -> FloatArray:
        """Return the largest angle (rad) [n] between the view's ray and one that agrees."""
        centers = -np.einsum("kji,kj->ki", self.turn, self.shift)
        toward = points - centers[:, None]
        with np.errstate(invalid="ignore", divide="ignore"):
            toward /= np.linalg.norm(toward, axis=2, keepdims=True)
            cosine = np.where(fits, (toward * toward[0]).sum(axis=2), 1.0)
        return np.arccos(np.clip(cosine.min(axis=0), -1.0, 1.0))
