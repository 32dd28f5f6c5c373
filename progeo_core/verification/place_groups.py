"""Groups of places whose poses agree among themselves, and contradict those of others.

Places that were moved together, as by a jump of odometry, agree with each other: a majority of a
place's neighbours finds only the first and the last of them. So places are joined to groups by all
pairs that agree, and groups that contradict each other cannot both be right.
"""

from __future__ import annotations

import collections
import heapq
import itertools
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from progeo_core.geo import FloatArray
from progeo_core.poses.camera_pose import CameraPose
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
# Groups that are off by the same are looked for among so many, the largest; as many are listed.
_MAX_FRAMES, _LISTED = 100, 4
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
        *most, last = map(str, self.sizes[:_LISTED])
        more = len(self.sizes) - _LISTED
        if more > 0:
            *most, last = *most, last, f"{more} more of up to {self.sizes[_LISTED]}"
        sizes = f"{', '.join(most)} and {last}"
        return f"groups of {sizes} places contradict each other by {self.apart_m:.2f} m"


class _Step(NamedTuple):
    """Contradiction of two places: what moves [4, 4] the second one's frame to the first one's."""

    first: int
    second: int
    move: FloatArray
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
    return [_judged(members, poses, steps) for members, steps in _linked(group, _sure(steps))]


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
    move = np.eye(4)
    move[:3, :3] = seen.rotation @ given.rotation.T
    move[:3, 3] = seen.position - move[:3, :3] @ given.position
    return _Step(*groups, move, float(np.linalg.norm(seen.position - given.position)))


def _sure(steps: list[_Step]) -> list[_Step]:
    """Return those between groups that more than one sighting finds to contradict each other."""
    count = collections.Counter(frozenset((one.first, one.second)) for one in steps)
    return [one for one in steps if count[frozenset((one.first, one.second))] >= _MIN_STEPS]


def _linked(
    group: Mapping[int, int], steps: list[_Step]
) -> list[tuple[dict[int, list[int]], list[_Step]]]:
    """Return the groups that contradictions link, with the places of each, and these."""
    linked = _groups(set(group.values()), {(one.first, one.second) for one in steps})
    ways: dict[int, list[_Step]] = {}
    for one in steps:
        ways.setdefault(linked[one.first], []).append(one)
    groups: dict[int, dict[int, list[int]]] = {number: {} for number in ways}
    touched = {side for one in steps for side in (one.first, one.second)}
    for place, number in group.items():
        if number in touched:
            groups[linked[number]].setdefault(number, []).append(place)
    return [(groups[number], ways[number]) for number in ways]


def _judged(
    groups: Mapping[int, list[int]], poses: Mapping[int, CameraPose], steps: list[_Step]
) -> Contradiction:
    """Return which of groups that contradict each other lose their landmarks."""
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
    moves: Mapping[int, FloatArray],
    same_m: float,
) -> list[list[int]]:
    """Return the places of groups that are off by the same, together.

    moves: [4, 4] of each group into one frame; they are the same up to `same_m`.
    """
    frames: list[list[int]] = []
    known, centers = np.empty((0, 4, 4)), np.empty((0, 4))
    for number in sorted(groups, key=lambda one: -len(groups[one])):
        move, members = moves[number], groups[number]
        center = np.append(np.mean([poses[place].position for place in members], axis=0), 1.0)
        # Where one of two frames is turned, they meet at a point, but not at both centres.
        off = np.linalg.norm((known - move) @ center, axis=1)
        other = np.linalg.norm(np.einsum("kij,kj->ki", known - move, centers), axis=1)
        same = np.flatnonzero(np.maximum(off, other) < same_m)
        if same.size:
            frames[same[0]].extend(members)
            continue
        frames.append([*members])
        if len(known) < _MAX_FRAMES:
            known, centers = np.concatenate([known, move[None]]), np.vstack([centers, center])
    return frames


def _moves(groups: Mapping[int, list[int]], steps: list[_Step]) -> dict[int, FloatArray]:
    """Return what moves [4, 4] each group to the largest one's frame, over all between them."""
    ways: dict[int, dict[int, list[FloatArray]]] = {number: {} for number in groups}
    for first, second, move, _ in steps:
        ways[first].setdefault(second, []).append(move)
        ways[second].setdefault(first, []).append(np.asarray(np.linalg.inv(move), np.float64))
    largest = max(groups, key=lambda one: len(groups[one]))
    moves = {largest: np.eye(4)}
    # Those that most sightings tell come first.
    ahead = [(-len(found), largest, number) for number, found in ways[largest].items()]
    heapq.heapify(ahead)
    while ahead:
        _, first, second = heapq.heappop(ahead)
        if second in moves:
            continue
        moves[second] = moves[first] @ _middle(ways[first][second])
        for number, found in ways[second].items():
            if number not in moves:
                heapq.heappush(ahead, (-len(found), second, number))
    return moves


def _middle(moves: list[FloatArray]) -> FloatArray:
    """Return the one of several moves whose shift is nearest to the median of all."""
    shifts = np.stack([one[:3, 3] for one in moves])
    far = np.linalg.norm(shifts - np.median(shifts, axis=0), axis=1)
    return moves[int(far.argmin())]
