"""Closer look at whether two drives pass the same places under a proposed transform.

Where the transform puts a place of one drive on places of the other, both images must show the
same, by their descriptors and local features, and must show it better than what is elsewhere: on
floors that are built alike, places look as much like others as like their own. A place that should
be there and is not counts against the transform.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from progeo_core.fleet.drive import Drive
from progeo_core.fleet.frame_fit import SharedPlaces, moved_by
from progeo_core.fleet.similar_stretches import (
    DISTINCT,
    SIGMA_RAD,
    SLOPE,
    ZERO,
    Located,
    similarity_log_odds,
    tolerance_m,
)
from progeo_core.geo import FloatArray, wrap_angle
from progeo_core.localization.fitted_constants import VerificationConstants
from progeo_core.localization.inlier_evidence import Compared, inlier_log_odds
from progeo_core.verification.epipolar_inliers import count_inliers
from progeo_core.verification.place_feature_cache import view_of

IntArray = NDArray[np.int64]

# Places of the moved drive that are compared, and places of the fixed drive with each of them.
_COMPARED, _NEAR = 80, 7
# How far away these may be, in tolerances.
_NEAR_REACH = 1.5
# Places whose directions differ by more than this (rad) are not similar.
_MAX_TURN_RAD = 0.6
# Places farther away than so many tolerances are elsewhere. The most similar ones of these, among
# so many candidates, are compared as well.
_ELSEWHERE, _RIVALS, _CANDIDATES = 2.0, 2, 30
# Log odds from which on a place speaks for a transform by itself.
_AGREES = 2.0
# Places that both drives share, share of those that they should, and log odds of all of these. A
# place that landmarks locate counts twice. Six views of one far scene agreed on a wrong place.
MIN_AGREEING, _MIN_SHARE, _MIN_EVIDENCE = 8, 0.5, 25.0
# With the slope that the thresholds above were set with.
_CONSTANTS = VerificationConstants(slope=2.5)


class Evidence(NamedTuple):
    """Log odds [n] that places are where a transform puts them; how many landmarks locate there."""

    log_odds: FloatArray
    located: int

    @property
    def agreeing(self) -> int:
        """Return how many places speak for the transform by themselves."""
        return int(np.count_nonzero(self.log_odds >= _AGREES))

    @property
    def suffices(self) -> bool:
        """Whether enough places agree, and enough of those that should."""
        return (
            self.agreeing + self.located >= MIN_AGREEING
            and self.agreeing >= _MIN_SHARE * len(self.log_odds)
            and self.total >= _MIN_EVIDENCE
        )

    @property
    def total(self) -> float:
        """Return the log odds of the transform."""
        return float(self.log_odds.sum())


class Look(NamedTuple):
    """What a closer look at places of the moved drive found.

    alike: whether places look the same. proven: whether they look more like each other than like
    what is elsewhere, too. shared: those that look the same.
    """

    alike: Evidence
    proven: Evidence
    shared: SharedPlaces

    @property
    def compared(self) -> int:
        """Return how many places the transform puts onto the fixed drive, of those looked at."""
        return len(self.alike.log_odds)


class CloserLook:
    """Comparison of two drives' places under one transform after the other."""

    def __init__(
        self,
        fixed: Drive,
        moved: Drive,
        located: Mapping[int, Located],
        known_within_m: float = math.inf,
    ) -> None:
        """Compare two drives; located: places of the moved one that landmarks locate.

        known_within_m: no place is farther from where a transform puts it.
        """
        self._fixed, self._moved, self._located = fixed, moved, located
        self._reach_m, self._known_within_m = tolerance_m(fixed, moved), known_within_m
        # Inliers of a place of each drive: transforms near each other compare the same ones.
        self._inliers: dict[tuple[int, int], float] = {}

    def at(self, pose: FloatArray) -> Look:
        """Compare the places that a transform [4] puts on each other."""
        fixed, moved = self._fixed, self._moved
        sample = moved.sample()
        expected = moved_by(pose, moved.places(sample))
        near = {
            row: found
            for row, place in zip(sample.tolist(), expected, strict=True)
            if len(found := self._near(place))
        }
        rows = moved.distinct(np.array(list(near), np.int64), DISTINCT * self._reach_m, _COMPARED)
        descriptors, expected = moved.descriptors(rows), moved_by(pose, moved.places(rows))
        similar = fixed.most_similar(descriptors, _CANDIDATES).rows
        alike, proven, shared = [], [], list[Located]()
        for row, descriptor, place, found in zip(
            rows.tolist(), descriptors, expected, similar, strict=True
        ):
            elsewhere = self._elsewhere(place, found)
            similarity = _similarity(fixed, near[row], descriptor)
            rival = _similarity(fixed, elsewhere, descriptor).max(initial=ZERO)
            odds = similarity_log_odds(similarity.max() - np.array([ZERO, rival]) + ZERO)
            located = self._where_landmarks_say(row, place)
            if located is None:
                best = int(near[row][similarity.argmax()])
                odds += self._inlier_evidence(row, [best, *elsewhere.tolist()])
                seen = _between(fixed.places(near[row]), similarity)
                located = Located(row, seen, self._reach_m / 2.0, SIGMA_RAD)
            else:
                odds += _CONSTANTS.highest
            alike.append(odds[0])
            proven.append(odds[1])
            if odds[0] > 0.0:
                shared.append(located)
        by_landmarks = sum(one is self._located.get(one.row) for one in shared)
        return Look(
            Evidence(np.array(alike), by_landmarks),
            Evidence(np.array(proven), by_landmarks),
            _joined(moved, shared),
        )

    def _near(self, pose: FloatArray) -> IntArray:
        """Return the fixed drive's places about a pose [4] that look as it does, nearest first."""
        rows = self._fixed.usable
        offset = self._fixed.pose[rows] - pose[[0, 1, 3]]
        distance = np.hypot(offset[:, 0], offset[:, 1])
        close = distance <= _NEAR_REACH * self._reach_m
        close &= np.abs(wrap_angle(offset[:, 2])) <= _MAX_TURN_RAD
        return rows[close][np.argsort(distance[close], kind="stable")][:_NEAR]

    def _elsewhere(self, pose: FloatArray, similar: IntArray) -> IntArray:
        """Return the first of some places that are not about a pose [4]."""
        offset = self._fixed.places(similar)[:, :2] - pose[:2]
        distance = np.hypot(offset[:, 0], offset[:, 1])
        far = (distance > _ELSEWHERE * self._reach_m) & (distance <= self._known_within_m)
        return similar[far][:_RIVALS]

    def _where_landmarks_say(self, row: int, pose: FloatArray) -> Located | None:
        """Return where landmarks locate a place, None where they do not, or not about a pose."""
        place = self._located.get(row)
        if place is None:
            return None
        offset = place.pose - pose
        turned = abs(float(wrap_angle(offset[3])))
        near = np.hypot(offset[0], offset[1]) <= self._reach_m and turned <= _MAX_TURN_RAD
        return place if near else None

    def _inlier_evidence(self, row: int, places: list[int]) -> FloatArray:
        """Return the log odds of the first of some places by its inliers: alone, and by all's."""
        inliers = np.array([self._count(row, place) for place in places])
        # Those elsewhere are its rivals.
        position = np.zeros((len(places), 3))
        position[1:, 0] = 2.0
        compared = Compared(inliers, position, 1.0)
        return np.array(
            [inlier_log_odds(one, _CONSTANTS)[0] for one in (compared.first(1), compared)]
        )

    def _count(self, row: int, place: int) -> float:
        """Return the inliers of a place of each drive, NaN where one has no image."""
        if (row, place) not in self._inliers:
            moved, fixed = self._moved.known(row), self._fixed.known(place)
            found = math.nan
            if moved is not None and fixed is not None:
                found = count_inliers(view_of(moved), fixed)
            self._inliers[row, place] = found
        return self._inliers[row, place]


def _similarity(fixed: Drive, rows: IntArray, descriptor: NDArray[np.float32]) -> FloatArray:
    return np.asarray(fixed.descriptors(rows) @ descriptor, np.float64)


def _between(places: FloatArray, similarity: FloatArray) -> FloatArray:
    """Return the pose [4] among places [n, 4] of an image, by how similar it is to each."""
    weight = np.exp(SLOPE * (similarity - similarity.max()))
    share = weight / weight.sum()
    yaw = np.angle(share @ np.exp(1j * places[:, 3]))
    return np.array([*(share @ places[:, :3]), yaw])


def _joined(moved: Drive, shared: list[Located]) -> SharedPlaces:
    fixed = np.array([one.pose for one in shared]).reshape(-1, 4)
    sigma_m, sigma_rad = np.array([one[2:] for one in shared]).reshape(-1, 2).T
    rows = np.array([one.row for one in shared], np.int64)
    return SharedPlaces(moved.places(rows), fixed, sigma_m, sigma_rad)
