"""Bundle adjustment of a scene from afar: poses nearly right at first, held by rough positions.

Cauchy's loss begins wide and narrows, and after each scale the scene is moved, scaled and turned
about the vertical as one to its positions, which small steps of single cameras would take long for.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from progeo_core.geo import FloatArray
from progeo_core.verification.bundle_adjustment import Observations, linearized, solved
from progeo_core.verification.rotation_averaging import ROLL_SIGMA_RAD

# Scales of the loss (pixels), and how many of these an observation may be off to take part.
_LOSSES_PX, _FAR = (10.0, 10.0, 5.0, 5.0, 2.5, 1.5, 1.5), 10.0
_MIN_VIEWS = 3
# Steps at each scale, how often one is tried with more damping, and the gain below which it ends.
_STEPS, _TRIES, _MIN_GAIN = 15, 6, 1e-4
# Positions and rolls beyond so many deviations count less and less.
_LIMIT = 3.0
# A point is as far as its rays tell: smallest eigenvalue of what they say together.
_MIN_ANGLE_SQUARED = 1e-4
_MIN_SIGMA_M = 0.02


class Scene(NamedTuple):
    """Cameras [v, 3], [v, 3, 3] of the optical axes, and the deviation (m) of their positions.

    seen: [v] how many points each camera sees within a few pixels.
    """

    position: FloatArray
    rotation: FloatArray
    sigma_m: float
    seen: NDArray[np.int64]


class _State(NamedTuple):
    position: FloatArray
    rotation: FloatArray
    points: FloatArray


class _Problem(NamedTuple):
    rough: FloatArray
    sigma_m: float
    seen: Observations
    pixel: FloatArray
    loss_px: float


def adjust_scene(
    start: Scene, rough: FloatArray, seen: Observations, pixel: FloatArray
) -> Scene | None:
    """Return cameras that explain what they see and lie near rough positions [v, 3].

    pixel: [v] what a pixel of each camera is on the plane z = 1. None where too little is seen.
    """
    position, rotation, sigma_m = start.position, start.rotation, start.sigma_m
    count = np.zeros(len(rough), np.int64)
    for loss_px in _LOSSES_PX:
        points = _triangulated(position, rotation, seen)
        off = _off(_State(position, rotation, points), seen, pixel[seen.view])
        used, known = _without(seen, off < _FAR * loss_px)
        if not len(used.view):
            return None
        problem = _Problem(rough, sigma_m, used, pixel[used.view], loss_px)
        found = _minimized(_State(position, rotation, points[known]), problem)
        position, rotation = aligned(found.position, found.rotation, rough, sigma_m)
        residual = np.median(np.abs(position - rough))
        sigma_m = max(1.4826 * float(residual), _MIN_SIGMA_M)
        near = _off(found, used, problem.pixel) < _LIMIT * _LOSSES_PX[-1]
        count = np.bincount(used.view[near], minlength=len(rough))
    return Scene(position, rotation, sigma_m, count)


def _minimized(state: _State, problem: _Problem) -> _State:
    """Return the state of least cost, by Levenberg and Marquardt."""
    cost, damping = _cost(state, problem), 1e-4
    for _ in range(_STEPS):
        system = linearized(*state, problem.seen, problem.pixel, problem.loss_px)
        prior, pulled = _prior(state, problem)
        for _ in range(_TRIES):
            poses, moved = solved(system, prior, pulled, damping)
            turn = Rotation.from_rotvec(poses[:, 3:]).as_matrix()
            tried = _State(
                state.position + poses[:, :3], turn @ state.rotation, state.points + moved
            )
            lower = _cost(tried, problem)
            if lower < cost:
                break
            damping *= 5.0
        else:
            return state
        gain, state, cost = 1.0 - lower / cost, tried, lower
        damping = max(damping / 5.0, 1e-8)
        if gain < _MIN_GAIN:
            break
    return state


def _prior(state: _State, problem: _Problem) -> tuple[FloatArray, FloatArray]:
    """Return information [v, 6, 6] and gradient [v, 6] of positions and of level cameras."""
    offset = (state.position - problem.rough) / problem.sigma_m
    weight = 1.0 / (1.0 + (offset**2).sum(axis=1) / _LIMIT**2)
    across = state.rotation[:, :, 0]
    roll = across[:, 2] / ROLL_SIGMA_RAD
    level = 1.0 / (1.0 + roll**2 / _LIMIT**2)
    by_turn = np.stack([across[:, 1], -across[:, 0], np.zeros(len(across))], 1) / ROLL_SIGMA_RAD
    prior = np.zeros((len(offset), 6, 6))
    prior[:, :3, :3] = (weight / problem.sigma_m**2)[:, None, None] * np.eye(3)
    prior[:, 3:, 3:] = level[:, None, None] * by_turn[:, :, None] * by_turn[:, None]
    prior[:, 3:, 3:] += 1e-3 * np.eye(3)
    pulled = np.concatenate(
        [weight[:, None] * offset / problem.sigma_m, (level * roll)[:, None] * by_turn], axis=1
    )
    return prior, pulled


def _cost(state: _State, problem: _Problem) -> float:
    off = _off(state, problem.seen, problem.pixel)
    position = ((state.position - problem.rough) ** 2).sum(axis=1) / problem.sigma_m**2
    roll = (state.rotation[:, 2, 0] / ROLL_SIGMA_RAD) ** 2
    far = problem.loss_px**2
    return float(
        far * np.log1p(np.minimum(off, 1e6) ** 2 / far).sum()
        + _LIMIT**2 * np.log1p(np.concatenate([position, roll]) / _LIMIT**2).sum()
    )


def _off(state: _State, seen: Observations, pixel: FloatArray) -> FloatArray:
    """Return how far (pixels) points are from where they are seen [o], infinite behind a camera."""
    offset = state.points[seen.point] - state.position[seen.view]
    x, y, z = np.einsum("oji,oj->io", state.rotation[seen.view], offset)
    with np.errstate(divide="ignore", invalid="ignore"):
        off = np.hypot(x / z - seen.rays[:, 0], y / z - seen.rays[:, 1]) / pixel
    return np.where(z > 0.0, off, np.inf)


def _triangulated(position: FloatArray, rotation: FloatArray, seen: Observations) -> FloatArray:
    """Return the points [p, 3] nearest to their rays, NaN where these are parallel."""
    rays = np.column_stack([seen.rays, np.ones(len(seen.rays))])
    rays = np.einsum("oab,ob->oa", rotation[seen.view], rays)
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    across = np.eye(3) - rays[:, :, None] * rays[:, None]
    count = int(seen.point.max()) + 1
    normal, goal = np.zeros((count, 3, 3)), np.zeros((count, 3))
    np.add.at(normal, seen.point, across)
    np.add.at(goal, seen.point, np.einsum("oab,ob->oa", across, position[seen.view]))
    known = np.linalg.eigvalsh(normal)[:, 0] > _MIN_ANGLE_SQUARED
    points = np.full((count, 3), np.nan)
    points[known] = np.linalg.solve(normal[known], goal[known][:, :, None])[:, :, 0]
    return points


def _without(seen: Observations, kept: NDArray[np.bool_]) -> tuple[Observations, NDArray[np.int64]]:
    """Return the observations that are kept, of points that enough views see, and these points."""
    views = np.bincount(seen.point[kept], minlength=int(seen.point.max()) + 1)
    kept = kept & (views >= _MIN_VIEWS)[seen.point]
    known, point = np.unique(seen.point[kept], return_inverse=True)
    return Observations(seen.view[kept], point, seen.rays[kept]), known


def aligned(
    position: FloatArray, rotation: FloatArray, rough: FloatArray, sigma_m: float
) -> tuple[FloatArray, FloatArray]:
    """Return the cameras moved, scaled and turned about the vertical to rough positions."""
    offset = ((position - rough) ** 2).sum(axis=1) / sigma_m**2
    weight = 1.0 / (1.0 + offset / _LIMIT**2)
    weight /= weight.sum()
    center, goal = weight @ position, weight @ rough
    found, wanted = (
        (points[:, 0] + 1j * points[:, 1]) for points in (position - center, rough - goal)
    )
    similarity = (weight * found.conj()) @ wanted / (weight @ np.abs(found) ** 2)
    turn = Rotation.from_euler("z", np.angle(similarity)).as_matrix()
    return np.abs(similarity) * (position - center) @ turn.T + goal, turn @ rotation
