"""Landmarks of a place's local features, triangulated with neighbouring places of known poses.

A landmark needs three views that agree on it. Points by two views at a time are the hypotheses; the
one that most views agree with is refined over them (Hartley and Zisserman 2004, chapter 12;
Schönberger and Frahm 2016, section 4.3).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from progeo_core.geo import FloatArray
from progeo_core.verification.known_view import KnownView

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

# Distance (pixels) of an observation from its landmark, where poses are right.
MAX_ERROR_PX = 3.0
# Views that must agree on a landmark, and the angle (rad) that its rays must span.
_MIN_VIEWS, _MIN_PARALLAX_RAD = 3, np.radians(2.0)
# Fewer landmarks of one view than this are those that chance makes.
_MIN_LANDMARKS = 15
# A landmark less certain than this share of its distance is worth nothing.
_MAX_RELATIVE_SIGMA = 0.08
# Standard deviation of a feature's point (pixels).
_SIGMA_PX = 1.0
_ITERATIONS = 5
# Of the other views, the first ones give the hypotheses.
_HYPOTHESES = 16


class Triangulated(NamedTuple):
    """Landmarks [n, 3] (m) of a place's features in the map frame, and their deviations [n] (m).

    Both are NaN where a feature has none. agree: [k, n] which of the other views see it there.
    """

    landmarks: FloatArray
    sigma_m: NDArray[np.float32]
    agree: BoolArray


def triangulate(
    view: KnownView,
    others: Sequence[KnownView],
    tracks: Sequence[IntArray],
    max_error_px: float = MAX_ERROR_PX,
) -> Triangulated:
    """Return the landmarks of a view's features from where other views see them.

    tracks: one [n] for each of the others, the row of its feature that shows the same; -1 none.
    max_error_px: of an observation that agrees with its landmark.
    """
    count = len(view.rays)
    landmarks = np.full((count, 3), np.nan)
    sigma_m = np.full(count, np.nan, np.float32)
    seen = np.full((len(others), count, 2), np.nan)
    agree = np.zeros((len(others), count), np.bool_)
    for row, (other, track) in enumerate(zip(others, tracks, strict=True)):
        known = track >= 0
        seen[row, known] = other.rays[track[known]]
    rows = np.flatnonzero(np.isfinite(seen[..., 0]).sum(axis=0) >= _MIN_VIEWS - 1)
    if rows.size:
        star = _Star.of(view, others, rows, seen[:, rows], max_error_px)
        points, deviation, fits = star.points()
        if np.count_nonzero(np.isfinite(deviation)) >= _MIN_LANDMARKS:
            landmarks[rows], sigma_m[rows] = view.pose.to_map(points), deviation
            agree[:, rows] = fits[1:]
    return Triangulated(landmarks, sigma_m, agree & np.isfinite(sigma_m))


class _Star(NamedTuple):
    """Features of one view with their observations in its neighbours.

    rays: [n, 3] of the view. turn: [k, 3, 3] and shift: [k, 3] take points of the view's frame into
    a neighbour's. seen: [k, n, 2] rays of the neighbours, NaN unknown. pixel: [k]. max_error_px: of
    an observation that agrees with its landmark.
    """

    rays: FloatArray
    turn: FloatArray
    shift: FloatArray
    seen: FloatArray
    pixel: FloatArray
    max_error_px: float

    @classmethod
    def of(
        cls,
        view: KnownView,
        neighbors: Sequence[KnownView],
        rows: IntArray,
        seen: FloatArray,
        max_error_px: float,
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
            max_error_px,
        )

    def points(self) -> tuple[FloatArray, FloatArray, BoolArray]:
        """Return points [n, 3] in the view's frame, deviations [n], and which views [k, n] agree.

        Points and deviations are NaN where one is refused.
        """
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
        return points, sigma_m, fits

    def _best_hypotheses(self) -> tuple[FloatArray, BoolArray]:
        """Return of the points by two views those that most views agree with, and which [k, n]."""
        ahead = np.concatenate([self.seen, np.ones((*self.seen.shape[:2], 1))], axis=2)[1:]
        direction = np.einsum("kij,nj->kni", self.turn[1:], self.rays)
        across = np.cross(ahead, direction)
        with np.errstate(invalid="ignore", divide="ignore"):
            depth = -(across * np.cross(ahead, self.shift[1:, None])).sum(-1) / (across**2).sum(-1)
        best = np.full((len(self.rays), 3), np.nan)
        fits = np.zeros(self.seen.shape[:2], np.bool_)
        for row in depth[:_HYPOTHESES]:
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
            near = error < self.max_error_px * self.pixel[:, None]
            return np.asarray(near & (inside[..., 2] > 0.0))

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
        return np.asarray(np.arccos(np.clip(cosine.min(axis=0), -1.0, 1.0)))
