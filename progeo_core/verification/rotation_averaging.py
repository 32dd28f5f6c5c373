"""Orientations of cameras from how pairs of them are turned, and where up and north are.

Rotations that many pairs agree on, by iteratively reweighted least squares (Hartley et al. 2013,
Rotation Averaging; Chatterjee and Govindu 2013): a wrong pair is outvoted, where a chain of views
would follow it.
"""

from __future__ import annotations

import collections
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import spsolve
from scipy.spatial.transform import Rotation

from progeo_core.geo import FloatArray
from progeo_core.verification.view_pairs import ViewPair

IntArray = NDArray[np.int64]

# Errors of pairs (rad) that count fully, at first and in the end; more matches count more, up to.
_FIRST_SIGMA_RAD, _SIGMA_RAD, _MOST_MATCHES = np.radians(15.0), np.radians(1.0), 200
_SHRINK, _ITERATIONS = 0.9, 60
# Errors of a pair's direction (rad), and of the roll of a level camera.
_DIRECTION_SIGMA_RAD, ROLL_SIGMA_RAD = np.radians(5.0), np.radians(3.0)
# A pair tells the direction where it is this far apart, in deviations of the positions, and its
# rays differ by this (rad).
_MIN_SIGMAS, _MIN_PARALLAX_RAD = 3.0, np.radians(1.5)
# Turns of the world that are tried, each by two pairs whose directions differ by this (sine).
_TRIALS, _MIN_SINE = 400, 0.3
# Deviations beyond which a direction or a roll costs no more.
_LIMIT = 3.0
# Pairs without which nothing tells the directions, and what all rolls weigh against all pairs.
_MIN_PAIRS, _ROLL_SHARE = 10, 0.3


class Averaged(NamedTuple):
    """Rotations [n, 3, 3] of the axes of cameras into those of the group that each is in [n].

    error_rad: [m] of each pair.
    """

    rotation: FloatArray
    group: IntArray
    error_rad: FloatArray


def averaged_rotations(count: int, pairs: Sequence[ViewPair]) -> Averaged:
    """Return the rotations of `count` views that fit most pairs; groups are not joined by any."""
    first, second = _ends(pairs)
    relative = np.stack([pair.rotation for pair in pairs])
    trust = np.minimum([pair.matches for pair in pairs], _MOST_MATCHES) / _MOST_MATCHES
    rotation, rows, sigma = _chained(count, pairs), np.arange(len(pairs)), _FIRST_SIGMA_RAD
    ends = np.concatenate([second, first])
    signs = np.repeat([1.0, -1.0], len(pairs))
    steps = coo_matrix((signs, (np.tile(rows, 2), ends)), (len(pairs), count)).tocsr()
    for _ in range(_ITERATIONS):
        off = _errors(rotation[first], rotation[second], relative)
        sigma = max(_SHRINK * sigma, _SIGMA_RAD)
        weight = trust / (1.0 + (off**2).sum(axis=1) / sigma**2) ** 2
        turned = np.einsum("nab,nb->na", rotation[first], off)
        # A small weight for no turn at all, as each group may turn as one.
        normal = (steps.T.multiply(weight) @ steps + 1e-9 * _identity(count)).tocsc()
        step = spsolve(normal, steps.T @ (-weight[:, None] * turned))
        rotation = Rotation.from_rotvec(step).as_matrix() @ rotation
    graph = coo_matrix((np.ones(len(pairs)), (first, second)), (count, count))
    group = connected_components(graph, directed=False)[1].astype(np.int64)
    off = _errors(rotation[first], rotation[second], relative)
    return Averaged(rotation, group, np.linalg.norm(off, axis=1))


def world_rotation(
    rotation: FloatArray, pairs: Sequence[ViewPair], position: FloatArray, sigma_m: float
) -> FloatArray | None:
    """Return what turns a group's axes into those of its positions [n, 3], None where that is open.

    rotation: [n, 3, 3] of the group. The directions of pairs turn to those between their positions,
    whose deviation is sigma_m, and cameras are taken to be level: their rows are horizontal.
    """
    first, second = _ends(pairs)
    seen = np.einsum("nab,nb->na", rotation[first], np.stack([pair.direction for pair in pairs]))
    offset = position[second] - position[first]
    length = np.linalg.norm(offset, axis=1)
    parallax = np.array([pair.parallax_rad for pair in pairs])
    usable = (length > _MIN_SIGMAS * sigma_m) & (parallax > _MIN_PARALLAX_RAD)
    if np.count_nonzero(usable) < _MIN_PAIRS:
        return None
    seen, length = seen[usable], length[usable]
    goal = offset[usable] / length[:, None]
    sigma = np.hypot(np.sqrt(2.0) * sigma_m / length, _DIRECTION_SIGMA_RAD)
    across = rotation[:, :, 0]
    random = np.random.default_rng(0)
    best, lowest = None, np.inf
    for pair in random.integers(len(seen), size=(_TRIALS, 2)):
        if np.linalg.norm(np.cross(*seen[pair])) < _MIN_SINE:
            continue
        turn = Rotation.align_vectors(goal[pair], seen[pair])[0].as_matrix()
        apart = np.linalg.norm(seen @ turn.T - goal, axis=1) / sigma
        rolls = np.abs((across @ turn.T)[:, 2]) / ROLL_SIGMA_RAD
        cost = _limited(apart).mean() + _ROLL_SHARE * _limited(rolls).mean()
        if cost < lowest:
            best, lowest = turn, cost
    return None if best is None else _refined(best, seen, goal, sigma, across)


def _refined(
    turn: FloatArray, seen: FloatArray, goal: FloatArray, sigma: FloatArray, across: FloatArray
) -> FloatArray:
    """Return the turn for which directions and rolls fit best, by Gauss and Newton."""
    for _ in range(20):
        turned, rows = seen @ turn.T, across @ turn.T
        off = (turned - goal) / sigma[:, None]
        weight = 1.0 / (1.0 + (off**2).sum(axis=1) / _LIMIT**2) ** 2 / len(seen)
        by_turn = -_cross(turned) / sigma[:, None, None]
        normal = np.einsum("nab,n,nac->bc", by_turn, weight, by_turn)
        pull = np.einsum("nab,n,na->b", by_turn, weight, off)
        roll = rows[:, 2] / ROLL_SIGMA_RAD
        heavy = _ROLL_SHARE / (1.0 + roll**2 / _LIMIT**2) ** 2 / len(rows)
        by_roll = np.stack([rows[:, 1], -rows[:, 0], np.zeros(len(rows))], 1) / ROLL_SIGMA_RAD
        normal += (by_roll.T * heavy) @ by_roll
        pull += by_roll.T @ (heavy * roll)
        turn = Rotation.from_rotvec(-np.linalg.solve(normal, pull)).as_matrix() @ turn
    return turn


def _limited(sigmas: FloatArray) -> FloatArray:
    return np.minimum(sigmas, _LIMIT) ** 2


def _cross(vectors: FloatArray) -> FloatArray:
    """Return the matrices [n, 3, 3] that take the cross product with vectors [n, 3]."""
    return np.asarray(np.cross(vectors[:, None], np.eye(3)).transpose(0, 2, 1))


def _errors(first: FloatArray, second: FloatArray, relative: FloatArray) -> FloatArray:
    """Return the turns [m, 3] (rad) by which rotations of two views miss that of their pair."""
    off = first.transpose(0, 2, 1) @ second @ relative.transpose(0, 2, 1)
    return np.asarray(Rotation.from_matrix(off).as_rotvec())


def _chained(count: int, pairs: Sequence[ViewPair]) -> FloatArray:
    """Return rotations [n, 3, 3] along the tree of the pairs with most matches."""
    group = np.arange(count)
    turns: dict[int, list[tuple[int, FloatArray]]] = collections.defaultdict(list)
    for pair in sorted(pairs, key=lambda one: -one.matches):
        first, second = pair.views
        if group[first] != group[second]:
            group[group == group[second]] = group[first]
            turns[first].append((second, pair.rotation))
            turns[second].append((first, pair.rotation.T))
    rotation = np.full((count, 3, 3), np.nan)
    for root in np.unique(group).tolist():
        rotation[root] = np.eye(3)
        open_ends = [root]
        while open_ends:
            row = open_ends.pop()
            for other, turn in turns[row]:
                if np.isnan(rotation[other, 0, 0]):
                    rotation[other] = rotation[row] @ turn
                    open_ends.append(other)
    return rotation


def _ends(pairs: Sequence[ViewPair]) -> tuple[IntArray, IntArray]:
    first, second = np.array([pair.views for pair in pairs], np.int64).reshape(-1, 2).T
    return first, second


def _identity(count: int) -> coo_matrix:
    rows = np.arange(count)
    return coo_matrix((np.ones(count), (rows, rows)), (count, count))
