"""Transforms between two drives under which many similar places come to lie on each other.

Places that look alike propose where one drive lies in the other; proposals count where they agree
with each other (pairwise consistency). What this finds looks alike, which proves nothing yet.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from progeo_core.fleet.drive import Drive
from progeo_core.fleet.frame_fit import SharedPlaces, fit_frames, moved_by
from progeo_core.geo import FloatArray
from progeo_core.poses.transform import Transform
from progeo_core.slam.pair_consistency import Ends, consistent_pairs, grow_clique
from progeo_core.verification.metric_localizer import NoPose
from progeo_core.verification.place_feature_cache import view_of

IntArray = NDArray[np.int64]

# Places of the moved drive that are looked for, how many similar ones each has, and pairs in all.
_QUERIES, _CANDIDATES, _PAIRS = 1000, 10, 2000
# Places of the moved drive that are located by landmarks of the fixed one, where there are any.
_LOCATED = 100
# Places nearer to each other than this share of the tolerance count once.
DISTINCT = 0.4
# Log odds of a pair by similarity, as for loop closures.
SLOPE, ZERO, _LIMIT = 22.0, 0.12, 6.0
# Cliques that are grown, and transforms that are kept.
_SEEDS, _KEPT = 200, 6
# Transforms that put places less than so many tolerances apart are one.
_SAME = 2.0
# Standard deviation of a yaw that similar images tell (rad).
SIGMA_RAD = 0.26


class Located(NamedTuple):
    """Place of the moved drive, and its pose in the fixed drive's frame by landmarks.

    pose: [4] x, y, z (m), yaw (rad). sigma_m, sigma_rad: its standard deviations.
    """

    row: int
    pose: FloatArray
    sigma_m: float
    sigma_rad: float


class _Pairs(NamedTuple):
    """Places of the moved drive [n], where each seems to be in the fixed frame, and log odds."""

    rows: IntArray
    pose: FloatArray
    evidence: FloatArray


def similarity_log_odds(similarity: FloatArray) -> FloatArray:
    """Return the log odds that places this similar are the same one."""
    return np.clip(SLOPE * (similarity - ZERO), -_LIMIT, _LIMIT)


def tolerance_m(fixed: Drive, moved: Drive) -> float:
    """Return how far apart (m) two images of one place may be taken."""
    return max(2.0 * max(fixed.spacing_m, moved.spacing_m), 0.5)


def locate(fixed: Drive, moved: Drive) -> dict[int, Located]:
    """Return places of the moved drive that landmarks of the fixed one locate, by their row."""
    if not fixed.place_map.has_landmarks:
        return {}
    rows = moved.distinct(moved.usable, DISTINCT * tolerance_m(fixed, moved), _LOCATED)
    similar = fixed.most_similar(moved.descriptors(rows), _CANDIDATES)
    views = moved.place_map.views(moved.ids[rows])
    found = {}
    for row, view, candidates in zip(rows.tolist(), views, similar.rows, strict=True):
        place = moved.known(row)
        if place is None or view is None or view.pose is None:
            continue
        seen = fixed.metric.localize(view_of(place), candidates)
        if isinstance(seen, NoPose):
            continue
        camera = Transform(*view.pose).inverse()
        frame = Transform(*seen.pose).then(camera)
        pose = np.array([*frame.position, float(frame.heading_rad)])
        sigma = np.sqrt(np.diag(seen.covariance))
        place_pose = moved_by(pose, moved.places(np.array([row])))[0]
        found[row] = Located(
            row, place_pose, float(np.linalg.norm(sigma[:3])), float(sigma[3:].max())
        )
    return found


def propose_transforms(
    fixed: Drive, moved: Drive, located: Mapping[int, Located]
) -> list[FloatArray]:
    """Return transforms [4] of the moved drive's frame, those that most places agree on first."""
    reach = tolerance_m(fixed, moved)
    pairs = _pairs(fixed, moved, located)
    segment = np.zeros(len(pairs.rows), np.int64)
    here = Ends(pairs.rows, moved.pose[pairs.rows], segment)
    there = Ends(pairs.rows, pairs.pose[:, [0, 1, 3]], segment)
    agree = consistent_pairs(here, there, reach)
    free = np.ones(len(pairs.rows), bool)
    cliques: list[IntArray] = []
    for seed in np.argsort(-pairs.evidence, kind="stable").tolist():
        if free[seed] and len(cliques) < _SEEDS:
            cliques.append(grow_clique(agree, pairs.evidence, seed))
            free[cliques[-1]] = False
    cliques.sort(key=lambda clique: -float(pairs.evidence[clique].sum()))
    proposed: list[FloatArray] = []
    for clique in cliques:
        places = moved.places(pairs.rows[clique])
        shared = SharedPlaces(
            places, pairs.pose[clique], np.full(len(clique), reach), np.full(len(clique), SIGMA_RAD)
        )
        pose = fit_frames(shared).pose
        if all(apart_m(pose, other, places) > _SAME * reach for other in proposed):
            proposed.append(pose)
        if len(proposed) == _KEPT:
            break
    return proposed


def apart_m(pose: FloatArray, other: FloatArray, places: FloatArray) -> float:
    """Return how far apart (m) two transforms [4] put places [n, 4] on average."""
    offset = moved_by(pose, places) - moved_by(other, places)
    return float(np.hypot(offset[:, 0], offset[:, 1]).mean())


def _pairs(fixed: Drive, moved: Drive, located: Mapping[int, Located]) -> _Pairs:
    """Return the strongest pairs of similar places; what was located is where landmarks say."""
    queries = moved.distinct(moved.usable, DISTINCT * tolerance_m(fixed, moved), _QUERIES)
    similar = fixed.most_similar(moved.descriptors(queries), _CANDIDATES)
    rows = np.repeat(queries, similar.rows.shape[1])
    pose = fixed.places(similar.rows.ravel())
    evidence = similarity_log_odds(similar.similarity.ravel())
    best = np.argsort(-evidence, kind="stable")[:_PAIRS]
    best = best[(evidence[best] > 0.0) & ~np.isin(rows[best], list(located))]
    return _Pairs(
        np.append(rows[best], np.array(list(located), np.int64)),
        np.concatenate([pose[best], *(one.pose[None] for one in located.values())]),
        np.append(evidence[best], np.full(len(located), _LIMIT)),
    )
