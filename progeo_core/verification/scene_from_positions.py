"""Poses of cameras of which only rough positions are known, from what their images share.

Orientations come first, from all pairs of views together, then the direction of the world, from the
positions of pairs that are far apart, then positions that fit the pairs' directions, and last a
bundle adjustment of everything. The positions hold the scene at each step.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import bsr_matrix, coo_matrix, csr_matrix, identity, kron
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import spsolve

from progeo_core.geo import FloatArray
from progeo_core.poses.camera_pose import CameraPose, quaternion_of
from progeo_core.verification.bundle_adjustment import Observations
from progeo_core.verification.rotation_averaging import averaged_rotations, world_rotation
from progeo_core.verification.scene_adjustment import Scene, adjust_scene, aligned
from progeo_core.verification.view_pairs import RoughView, ViewPair

IntArray = NDArray[np.int64]

# Fewer views than this are no scene.
_MIN_VIEWS = 8
# Pairs whose turn is farther (rad) from that of all others are wrong.
_MAX_ERROR_RAD = np.radians(5.0)
# Positions are no better known than this (m) before anything is solved.
_MIN_SIGMA_M = 0.05
# Errors of a pair's direction (rad): at best, and of the rays that its parallax is made of.
_DIRECTION_RAD, _RAY_RAD = np.radians(4.0), np.radians(0.17)
# Deviations beyond which a direction counts less and less; the rounds of weighing.
_LIMIT, _ROUNDS = 2.0, 30
_MIN_LENGTH_M = 0.05
# How loosely, in deviations, positions are held while pairs spread them: the shape comes first.
_LOOSENESS = (4.0, 4.0, 2.0, 1.0)
# Points that a camera needs to see.
_MIN_SEEN = 40


def scenes_from_positions(
    views: Sequence[RoughView], pairs: Sequence[ViewPair]
) -> list[dict[int, CameraPose]]:
    """Return the poses of each scene, by the rows of its views, in the frame of their positions.

    Views that too little ties to the others are in no scene.
    """
    if not pairs:
        return []
    errors = averaged_rotations(len(views), pairs).error_rad
    pairs = [pair for pair, error in zip(pairs, errors, strict=True) if error < _MAX_ERROR_RAD]
    if not pairs:
        return []
    averaged = averaged_rotations(len(views), pairs)
    scenes = []
    for group in np.unique(averaged.group):
        rows = np.flatnonzero(averaged.group == group)
        if len(rows) >= _MIN_VIEWS:
            scenes.append(_scene(rows, views, pairs, averaged.rotation[rows]))
    return [scene for scene in scenes if scene]


def _scene(
    rows: IntArray, views: Sequence[RoughView], pairs: Sequence[ViewPair], rotation: FloatArray
) -> dict[int, CameraPose]:
    """Return the poses of the views of one group, none where something stays open."""
    number = {row: at for at, row in enumerate(rows.tolist())}
    own = [
        pair._replace(views=(number[pair.views[0]], number[pair.views[1]]))
        for pair in pairs
        if pair.views[0] in number
    ]
    members = [views[row] for row in rows]
    rough = np.stack([view.position for view in members])
    sigma_m = _roughness(rough)
    turn = world_rotation(rotation, own, rough, sigma_m)
    if turn is None:
        return {}
    rotation = turn @ rotation
    for looseness in _LOOSENESS:
        position = _spread(rotation, own, rough, looseness * sigma_m)
        position, rotation = aligned(position, rotation, rough, looseness * sigma_m)
    seen = _observations(members, own)
    if seen is None:
        return {}
    pixel = np.array([view.pixel for view in members])
    start = Scene(position, rotation, sigma_m, np.zeros(len(rows), np.int64))
    found = adjust_scene(start, rough, seen, pixel)
    if found is None:
        return {}
    return {
        row: CameraPose(at, quaternion_of(axes))
        for row, at, axes, count in zip(
            rows.tolist(), found.position, found.rotation, found.seen, strict=True
        )
        if count >= _MIN_SEEN
    }


def _roughness(position: FloatArray) -> float:
    """Return the deviation (m) of positions [n, 3] from a smooth way."""
    bends = np.diff(position, 2, axis=0) / np.sqrt(6.0)
    return max(_MIN_SIGMA_M, 1.4826 * float(np.median(np.abs(bends[:, :2]))))


def _spread(
    rotation: FloatArray, pairs: Sequence[ViewPair], rough: FloatArray, sigma_m: float
) -> FloatArray:
    """Return positions [n, 3] near the rough ones, apart in the directions that pairs tell."""
    first, second = np.array([pair.views for pair in pairs]).T
    along = np.einsum("nab,nb->na", rotation[first], np.stack([one.direction for one in pairs]))
    across = np.eye(3) - along[:, :, None] * along[:, None]
    parallax = np.array([pair.parallax_rad for pair in pairs])
    sigma_rad = np.hypot(_DIRECTION_RAD, _RAY_RAD / np.maximum(parallax, 1e-3))
    rows = np.arange(len(pairs))
    signs = np.repeat([1.0, -1.0], len(pairs))
    shape = (len(pairs), len(rough))
    joins = coo_matrix((signs, (np.tile(rows, 2), np.concatenate([second, first]))), shape)
    steps = csr_matrix(kron(joins, np.eye(3)))
    hold = identity(rough.size) / sigma_m**2
    position = rough
    for _ in range(_ROUNDS):
        offset = position[second] - position[first]
        sigma = sigma_rad * np.maximum(np.linalg.norm(offset, axis=1), _MIN_LENGTH_M)
        off = np.linalg.norm(np.einsum("nab,nb->na", across, offset), axis=1) / sigma
        weight = (1.0 / (1.0 + off**2 / _LIMIT**2) / sigma) ** 2
        weights = bsr_matrix((across * weight[:, None, None], rows, np.arange(len(rows) + 1)))
        normal = (steps.T @ weights @ steps + hold).tocsc()
        position = spsolve(normal, rough.ravel() / sigma_m**2).reshape(-1, 3)
    return position


def _observations(views: Sequence[RoughView], pairs: Sequence[ViewPair]) -> Observations | None:
    """Return what the views see, by features that pairs join to tracks of three views or more."""
    starts = np.concatenate([[0], np.cumsum([len(view.rays) for view in views])])
    ends = [
        np.concatenate([starts[pair.views[side]] + pair.features[side] for pair in pairs])
        for side in (0, 1)
    ]
    shape = (starts[-1], starts[-1])
    _, track = connected_components(
        coo_matrix((np.ones(len(ends[0])), tuple(ends)), shape), directed=False
    )
    view = np.searchsorted(starts, np.arange(starts[-1]), side="right") - 1
    rays = np.concatenate([one.rays for one in views])
    # A track with two features of one view is wrong there.
    _, where, count = np.unique(
        np.stack([track, view]), axis=1, return_inverse=True, return_counts=True
    )
    single = count[where.ravel()] == 1
    length = np.bincount(track[single], minlength=track.max() + 1)
    kept = np.flatnonzero(single & (length[track] >= 3))
    if not kept.size:
        return None
    _, point = np.unique(track[kept], return_inverse=True)
    return Observations(view[kept], point, rays[kept])
