"""Poses between rough positions that are proven: found again from half of the images.

Every other image makes a scene of its own, held by its own positions. What bends or turns a scene
differs between the halves, as their positions and most of their pairs do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from progeo_core.geo import FloatArray
from progeo_core.poses.camera_pose import CameraPose
from progeo_core.progress import Advance, no_progress
from progeo_core.verification.scene_from_positions import scenes_from_positions
from progeo_core.verification.view_pairs import RoughView, view_pairs

# A pose is kept where that of its half differs by less than this turn (rad), and by less than the
# deviation of the positions within these bounds (m).
_MAX_TURN_RAD, _APART_M = np.radians(2.0), (0.1, 0.3)
# Views before and after one, of which most have to pass, too; and the share of a whole scene.
_BESIDE, _MIN_SHARE = 3, 0.25


class ProvenPoses(NamedTuple):
    """Poses by the rows of their views, and how they differ from those of half of the images.

    apart_m, turn_rad: medians over the poses, NaN without any.
    """

    poses: dict[int, CameraPose]
    apart_m: float
    turn_rad: float


def proven_poses(views: Sequence[RoughView], advance: Advance = no_progress) -> ProvenPoses:
    """Return the poses that are sure; `advance` counts views that were compared with others."""
    pairs = view_pairs(views, advance)
    halves: dict[int, CameraPose] = {}
    for odd in (0, 1):
        own = [pair for pair in pairs if all(row % 2 == odd for row in pair.views)]
        for half in scenes_from_positions(views, own):
            halves |= half
    poses: dict[int, CameraPose] = {}
    apart, turn = [np.empty(0)], [np.empty(0)]
    for scene in scenes_from_positions(views, pairs):
        rows = sorted(scene)
        rough = np.stack([views[row].position for row in rows])
        off = np.array([_difference(scene[row], halves.get(row)) for row in rows])
        kept = _passing(off, scene, rough)
        poses |= {row: scene[row] for row, passes in zip(rows, kept, strict=True) if passes}
        apart.append(off[kept, 0])
        turn.append(off[kept, 1])
    if not poses:
        return ProvenPoses({}, np.nan, np.nan)
    medians = (float(np.median(np.concatenate(column))) for column in (apart, turn))
    return ProvenPoses(poses, *medians)


def _difference(pose: CameraPose, other: CameraPose | None) -> tuple[float, float]:
    """Return how far apart (m) two poses are, and how far turned (rad); infinite without one."""
    if other is None:
        return np.inf, np.inf
    turn = Rotation.from_matrix(pose.rotation.T @ other.rotation).magnitude()
    return float(np.linalg.norm(pose.position - other.position)), float(turn)


def _passing(
    off: FloatArray, scene: Mapping[int, CameraPose], rough: FloatArray
) -> NDArray[np.bool_]:
    """Return which views [n] of a scene are sure; off: [n, 2] see `_difference`."""
    position = np.stack([scene[row].position for row in sorted(scene)])
    sigma_m = 1.4826 * float(np.median(np.abs(position - rough)))
    passing = (off[:, 0] < np.clip(sigma_m, *_APART_M)) & (off[:, 1] < _MAX_TURN_RAD)
    around = np.array(
        [passing[max(0, row - _BESIDE) : row + _BESIDE + 1].mean() for row in range(len(passing))]
    )
    kept = passing & (around >= 0.5)
    return np.asarray(kept & (passing.mean() >= _MIN_SHARE))
