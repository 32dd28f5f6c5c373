"""Groups of places whose poses agree among themselves, and contradict those of others.

Places that were moved together, as by a jump of odometry, agree with each other: a majority of a
place's neighbours finds only the first and the last of them. So places are joined to groups by all
pairs that agree, and groups that contradict each other cannot both be right.
"""

from __future__ import annotations

import collections
import itertools
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from progeo_core.geo import FloatArray
from progeo_core.poses.camera_pose import CameraPose
from progeo_core.poses.transform import IDENTITY, Transform
from progeo_core.verification.landmark_check import MAX_ERROR_PX, Sighting

IntArray = NDArray[np.int64]

# Poses agree up to so many pixels, and so many times the median of all pairs, as they may be rough;
# they contradict each other from so many on. Rougher ones than by so many pixels are wrong.
_MAX_USUAL_PX = 40.0
_AGREE_TIMES, _MIN_CONTRADICTION_PX, _CONTRADICT_TIMES = 3.0, 24.0, 6.0
# One sighting alone may be of a thing that was moved, or is there twice.
_MIN_STEPS = 2
# A group is right where it has this many times the places of any that contradicts it.
_CLEARLY_MORE = 2.0
# Two groups are off by the same up to this share of it, or so much (m).
_SAME, _SAME_M = 0.25, 0.1


class Contradiction(NamedTuple):
    """Groups of places that contradict each other.

    sizes: how many places each has, the largest first. refused: places that lose their landmarks,
    those of all groups where none is clearly larger. apart_m: how far they are off (median).
    """

    sizes: tuple[int, ...]
    refused: tuple[int, ...]
    apart_m: float

    @property
    def is_clear(self) -> bool:
        """Whether the largest group has clearly more places than any other."""
        return self.sizes[0] >= _CLEARLY_MORE * self.sizes[1]

    def __str__(self) -> str:
        *most, last = map(str, self.sizes)
        sizes = f"{', '.join(most)} and {last}"
        return f"groups of {sizes} places contradict each other by {self.apart_m:.2f} m"


class _Step(NamedTuple):
    """Contradiction of two places: what moves the second one's frame into the first one's."""

    first: int
    second: int
    move: Transform
    apart_m: float


def contradictions(
    poses: Mapping[int, CameraPose],
    sightings: Mapping[tuple[int, int], Sighting],
    agreeing: Iterable[tuple[int, int]] = (),
) -> list[Contradiction]:
    """Return the groups of places that contradict each other.

    poses: of all places. sightings: of the landmarks of the first place of a pair by the second.
    agreeing: pairs that are known to agree.
    """
    errors = {pair: one.error_px for pair, one in sightings.items() if one.pose is not None}
    if not errors:
        return []
    usual_px = min(float(np.median([*errors.values()])), _MAX_USUAL_PX)
    agree_px = max(MAX_ERROR_PX, _AGREE_TIMES * usual_px)
    contradict_px = max(_MIN_CONTRADICTION_PX, _CONTRADICT_TIMES * usual_px)
    found = (pair for pair, error_px in errors.items() if error_px < agree_px)
    group = _groups(poses, {*agreeing, *found})
    steps = [
        _step((group[first], group[second]), poses[second], sightings[first, second].pose)
        for (first, second), error_px in errors.items()
        if error_px > contradict_px and group[first] != group[second]
    ]
    steps = _sure(steps)
    return [_judged(members, poses, steps) for members in _linked(group, steps)]


def _groups(places: Iterable[int], pairs: Iterable[tuple[int, int]]) -> dict[int, int]:
    """Return the number of the group of each place, where pairs belong together."""
    row = {place: n for n, place in enumerate(places)}
    ends = np.array([[row[first], row[second]] for first, second in pairs], np.int64).reshape(-1, 2)
    graph = coo_array((np.ones(len(ends)), ends.T), shape=(len(row),) * 2)
    numbers = connected_components(graph, directed=False)[1]
    return dict(zip(row, numbers.tolist(), strict=True))


def _step(groups: tuple[int, int], given: CameraPose, seen: CameraPose | None) -> _Step:
    """Return what moves the second group to where the landmarks of the first one see it."""
    assert seen is not None
    move = Transform(*seen).then(Transform(*given).inverse())
    return _Step(*groups, move, float(np.linalg.norm(seen.position - given.position)))


def _sure(steps: list[_Step]) -> list[_Step]:
    """Return those between groups that more than one sighting finds to contradict each other."""
    count = collections.Counter(frozenset((one.first, one.second)) for one in steps)
    return [one for one in steps if count[frozenset((one.first, one.second))] >= _MIN_STEPS]


def _linked(group: Mapping[int, int], steps: list[_Step]) -> list[dict[int, list[int]]]:
    """Return the groups that contradictions link, with the places of each."""
    linked = _groups(set(group.values()), {(one.first, one.second) for one in steps})
    found: dict[int, dict[int, list[int]]] = {}
    touched = {side for one in steps for side in (one.first, one.second)}
    for place, number in group.items():
        if number in touched:
            found.setdefault(linked[number], {}).setdefault(number, []).append(place)
    return [*found.values()]


def _judged(
    groups: Mapping[int, list[int]], poses: Mapping[int, CameraPose], steps: list[_Step]
) -> Contradiction:
    """Return which of groups that contradict each other lose their landmarks."""
    steps = [one for one in steps if one.first in groups]
    apart_m = float(np.median([one.apart_m for one in steps]))
    frames = _frames(groups, poses, _moves(groups, steps), max(_SAME * apart_m, _SAME_M))
    if len(frames) == 1:  # They are hardly off: no two are of one frame for sure.
        frames = [*groups.values()]
    ordered = sorted(frames, key=len, reverse=True)
    found = Contradiction(tuple(map(len, ordered)), (), apart_m)
    refused = itertools.chain(*ordered[found.is_clear :])
    return found._replace(refused=tuple(sorted(refused)))


def _frames(
    groups: Mapping[int, list[int]],
    poses: Mapping[int, CameraPose],
    moves: Mapping[int, Transform],
    same_m: float,
) -> list[list[int]]:
    """Return the places of groups that are off by the same, together.

    moves: of each group into one frame; they are the same up to `same_m`.
    """
    frames: list[tuple[int, list[int]]] = []
    centers = {
        number: np.mean([poses[place].position for place in members], axis=0)
        for number, members in groups.items()
    }
    for number in sorted(groups, key=lambda one: -len(groups[one])):
        for other, members in frames:
            # Where one of two frames is turned, they meet at a point.
            off = [
                np.linalg.norm(_moved(moves[number], point) - _moved(moves[other], point))
                for point in (centers[number], centers[other])
            ]
            if max(off) < same_m:
                members.extend(groups[number])
                break
        else:
            frames.append((number, [*groups[number]]))
    return [members for _, members in frames]


def _moves(groups: Mapping[int, list[int]], steps: list[_Step]) -> dict[int, Transform]:
    """Return what moves each group into the frame of the largest one, over all between them."""
    both = [*steps, *(_Step(b, a, move.inverse(), far) for a, b, move, far in steps)]
    moves = {max(groups, key=lambda one: len(groups[one])): IDENTITY}
    while len(moves) < len(groups):
        ahead: dict[tuple[int, int], list[Transform]] = {}
        for one in both:
            if one.first in moves and one.second not in moves:
                ahead.setdefault((one.first, one.second), []).append(one.move)
        (first, second), found = max(ahead.items(), key=lambda item: len(item[1]))
        moves[second] = moves[first].then(_middle(found))
    return moves


def _middle(moves: list[Transform]) -> Transform:
    """Return the one of several transforms whose shift is nearest to the median of all."""
    shifts = np.stack([one.position for one in moves])
    far = np.linalg.norm(shifts - np.median(shifts, axis=0), axis=1)
    return moves[int(far.argmin())]


def _moved(move: Transform, point: FloatArray) -> FloatArray:
    """Return where a point [3] (m) of one frame is in the other."""
    return move.then(Transform(point, IDENTITY.orientation)).position
