"""Bundle adjustment of a neighbourhood of calibrated cameras whose poses are known nearly.

Poses and points that explain the observations best, with every pose held near the given one
(Triggs et al. 2000, Bundle Adjustment – A Modern Synthesis; section 6.1: the points are eliminated
first). Cauchy's loss makes wrong matches count little.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import bsr_matrix
from scipy.spatial.transform import Rotation

from progeo_core.geo import FloatArray
from progeo_core.poses.camera_pose import CameraPose, quaternion_of
from progeo_core.verification.known_view import KnownView

IntArray = NDArray[np.int64]

# Standard deviations (m, rad) of the given poses against those of the images around them.
_POSITION_SIGMA_M, _TURN_SIGMA_RAD = 0.02, 0.005
_ITERATIONS = 6
# Observations beyond this (pixels) count less and less.
_LOSS_SCALE_PX = 1.5
_DAMPING = 1e-6


class Observations(NamedTuple):
    """Rows of views [o] that see rows of points [o], and the rays [o, 2] by which they do."""

    view: IntArray
    point: IntArray
    rays: FloatArray


def adjust(views: Sequence[KnownView], points: FloatArray, seen: Observations) -> list[KnownView]:
    """Return views [v] with poses that explain what they see better.

    points: [p, 3] (m) first guesses; each is seen by two views or more.
    """
    given = np.stack([view.pose.position for view in views])
    position, points = given.copy(), points.copy()
    start = np.stack([view.rotation for view in views])
    turn = np.zeros_like(position)
    pixel = np.array([view.pixel for view in views])[seen.view]
    held = np.repeat([_POSITION_SIGMA_M, _TURN_SIGMA_RAD], 3) ** -2.0
    prior = np.tile(np.diag(held), (len(views), 1, 1))
    for _ in range(_ITERATIONS):
        rotation = Rotation.from_rotvec(turn).as_matrix() @ start
        system = linearized(position, rotation, points, seen, pixel, _LOSS_SCALE_PX)
        pulled = held * np.concatenate([position - given, turn], axis=1)
        poses, moved = solved(system, prior, pulled, _DAMPING)
        position, turn = position + poses[:, :3], _composed(poses[:, 3:], turn)
        points += moved
    rotation = Rotation.from_rotvec(turn).as_matrix() @ start
    return [
        view._replace(pose=CameraPose(at, quaternion_of(axes)), rotation=axes)
        for view, at, axes in zip(views, position, rotation, strict=True)
    ]


class System(NamedTuple):
    """Weighted Jacobians of the residuals by poses [o, 2, 6] and by points [o, 2, 3]."""

    by_pose: bsr_matrix
    by_point: bsr_matrix
    residual: FloatArray
    points: int


def linearized(
    position: FloatArray,
    rotation: FloatArray,
    points: FloatArray,
    seen: Observations,
    pixel: FloatArray,
    loss_px: float,
) -> System:
    """Return the observations of points [p, 3] by cameras [v, 3], [v, 3, 3], made linear.

    pixel: [o] what a pixel of each is on the plane z = 1. loss_px: scale of Cauchy's loss.
    """
    axes = rotation[seen.view]
    offset = points[seen.point] - position[seen.view]
    x, y, z = np.einsum("oji,oj->io", axes, offset)
    z = np.where(np.abs(z) < 1e-6, 1e-6, z)
    residual = (np.stack([x / z, y / z], axis=1) - seen.rays) / pixel[:, None]
    weight = 1.0 / np.sqrt(1.0 + (residual**2).sum(axis=1) / loss_px**2)
    zero = np.zeros_like(z)
    projection = np.stack(
        [np.stack([1.0 / z, zero, -x / z**2], 1), np.stack([zero, 1.0 / z, -y / z**2], 1)], 1
    )
    by_point = projection @ axes.transpose(0, 2, 1) * (weight / pixel)[:, None, None]
    # A turn w about the map's axes moves what the camera sees by its axes times (offset × w).
    by_turn = np.cross(by_point, offset[:, None])
    by_pose = np.concatenate([-by_point, by_turn], axis=2)
    starts = np.arange(len(pixel) + 1)
    return System(
        bsr_matrix((by_pose, seen.view, starts), shape=(2 * len(pixel), 6 * len(position))),
        bsr_matrix((by_point, seen.point, starts), shape=(2 * len(pixel), 3 * len(points))),
        (residual * weight[:, None]).ravel(),
        len(points),
    )


def solved(
    system: System, prior: FloatArray, pulled: FloatArray, damping: float
) -> tuple[FloatArray, FloatArray]:
    """Return the steps of poses [v, 6] and of points [p, 3].

    prior: information [v, 6, 6] of what is known of poses, and its gradient [v, 6], pulled.
    damping: of Levenberg and Marquardt.
    """
    by_pose, by_point, residual, count = system
    blocks = np.zeros((count, 3, 3))
    np.add.at(blocks, by_point.indices, np.einsum("oab,oac->obc", by_point.data, by_point.data))
    size = np.trace(blocks, axis1=1, axis2=2)[:, None, None]
    inverse = np.linalg.inv(blocks + (damping * size + 1e-12) * np.eye(3))
    rows = np.arange(count)
    inverted = bsr_matrix((inverse, rows, np.arange(count + 1)))
    coupling = (by_pose.T @ by_point).tocsr()
    gradient = by_pose.T @ residual + pulled.ravel()
    point_gradient = by_point.T @ residual
    reduced = (by_pose.T @ by_pose - coupling @ inverted @ coupling.T).toarray()
    views = np.arange(len(prior))
    reduced.reshape(len(prior), 6, len(prior), 6)[views, :, views] += prior
    reduced[np.diag_indices_from(reduced)] *= 1.0 + damping
    poses = np.linalg.solve(reduced, -gradient + coupling @ (inverted @ point_gradient))
    points = inverted @ (-point_gradient - coupling.T @ poses)
    return poses.reshape(-1, 6), points.reshape(-1, 3)


def _composed(step: FloatArray, turn: FloatArray) -> FloatArray:
    """Return rotation vectors [v, 3] of a small turn after another one."""
    joined = Rotation.from_rotvec(step) * Rotation.from_rotvec(turn)
    return np.asarray(joined.as_rotvec(), np.float64)
