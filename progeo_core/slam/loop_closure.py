"""Loop closures within one session: keyframes matched with earlier keyframes.

A pair of keyframes is a loop closure when it agrees, through the odometry, with pairs of the
keyframes around it, and when all of them together are far more similar than chance explains. One
similar place is never enough, so closures of the first images of a revisit come a little late,
with the stamps of their images.
"""

from __future__ import annotations

import dataclasses
import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from progeo_core.geo import FloatArray
from progeo_core.settings import Settings, setting
from progeo_core.slam.keyframe_index import KeyframeIndex
from progeo_core.slam.keyframes import Keyframe, KeyframeSelector, KeyframeSettings
from progeo_core.slam.loop_pose import RelativePose, relative_pose
from progeo_core.slam.pair_consistency import Ends, consistent_pairs, grow_clique

IntArray = NDArray[np.int64]

# Similar keyframes considered for each new one, and the keyframes whose pairs are kept.
_CANDIDATES, _WINDOW = 10, 15
# Log odds of a pair: slope times (similarity - zero), as in the place filter, within the limit.
_SLOPE, _ZERO, _LIMIT = 22.0, 0.12, 6.0
# Two images of one place are at most this many keyframe distances apart.
_TOLERANCE = 2.0
# A closure needs at least this many pairs. Without odometry, any two similar stretches agree for as
# long as they are similar: in corridors, for up to 12 images.
_MIN_PAIRS, _MIN_WITHOUT_ODOMETRY = 4, 13


@dataclasses.dataclass(frozen=True)
class LoopClosureSettings(Settings):
    """Thresholds above which a place counts as visited before."""

    min_log_odds: float = setting(
        18.0,
        "Log odds by which a loop closure and its neighbours must beat chance and every other"
        " place",
        low=0.0,
        high=1e3,
    )
    recent_keyframes: int = setting(
        15, "Newest keyframes that are the same visit, not another one", low=2, high=10_000
    )
    odometry_error: float = setting(
        0.3,
        "Largest error of the odometry as a share of the path length; what it places farther apart"
        " is no loop",
        low=0.0,
        high=10.0,
    )


class LoopClosure(NamedTuple):
    """Keyframe `query` taken where keyframe `match` was.

    similarity: of the two standardized descriptors. log_odds: of the closure and its neighbours
    against chance and any other place. pairs: number of pairs that agreed. relative: pose of the
    query as seen from the match.
    """

    query: Keyframe
    match: Keyframe
    similarity: float
    log_odds: float
    pairs: int
    relative: RelativePose


class Added(NamedTuple):
    """Result of adding an image: its keyframe (None if it is none), and the closures found."""

    keyframe: Keyframe | None
    closures: tuple[LoopClosure, ...]


class _Pairs(NamedTuple):
    """Candidate pairs: keyframe numbers [n], similarities [n] and log odds [n]."""

    query: IntArray
    match: IntArray
    similarity: FloatArray
    evidence: FloatArray

    def select(self, rows: IntArray | NDArray[np.bool_]) -> _Pairs:
        return _Pairs(
            self.query[rows], self.match[rows], self.similarity[rows], self.evidence[rows]
        )

    def joined(self, other: _Pairs) -> _Pairs:
        return _Pairs(
            np.concatenate([self.query, other.query]),
            np.concatenate([self.match, other.match]),
            np.concatenate([self.similarity, other.similarity]),
            np.concatenate([self.evidence, other.evidence]),
        )


class LoopCloser:
    """Loop closure detector of one session and one camera: `add` every image in order."""

    def __init__(
        self,
        dimension: int,
        settings: LoopClosureSettings | None = None,
        keyframes: KeyframeSettings | None = None,
    ) -> None:
        """Start a session with descriptors of one length."""
        self.settings = settings or LoopClosureSettings()
        self._selector = KeyframeSelector(keyframes)
        self._index = KeyframeIndex(dimension)
        self._pairs = _no_pairs()
        # The keyframe that each one was closed with, itself before that.
        self._closed_with: list[int] = []

    @property
    def keyframes(self) -> list[Keyframe]:
        """Return all keyframes so far."""
        return self._index.keyframes

    @property
    def tolerance_m(self) -> float:
        """Return how far apart (m) two images of one place may be taken."""
        return _TOLERANCE * self._selector.settings.distance_m

    def add(
        self,
        descriptor: NDArray[np.float32],
        stamp_ns: int,
        pose: FloatArray | None = None,
        segment: int = 0,
    ) -> Added:
        """Add an image; return its keyframe and the closures that it completes.

        pose: [3] planar, in the frame of the odometry's segment; None without odometry, then every
        keyframe counts as one distance straight ahead.
        """
        if not self._selector.take(pose, segment, descriptor):
            return Added(None, ())
        keyframe = self._next_keyframe(stamp_ns, pose, segment)
        found = self._candidates(keyframe, descriptor)
        self._index.add(keyframe, descriptor)
        self._closed_with.append(keyframe.number)
        recent = self._pairs.select(self._pairs.query > keyframe.number - _WINDOW)
        self._pairs = recent.joined(found)
        if not len(found.query):
            return Added(keyframe, ())
        return Added(keyframe, self._closures(len(recent.query)))

    def _next_keyframe(self, stamp_ns: int, pose: FloatArray | None, segment: int) -> Keyframe:
        number, metric = len(self._index), pose is not None
        last = self.keyframes[-1] if number else None
        step = self._selector.settings.distance_m
        planar = np.array([number * step, 0.0, 0.0]) if pose is None else pose
        # Segments without odometry have numbers of their own.
        segment = segment if metric else -1 - segment
        path_length_m = 0.0
        if last is not None and last.segment == segment:
            path_length_m = last.path_length_m + math.dist(planar[:2], last.pose[:2])
        return Keyframe(number, stamp_ns, planar, segment, metric, path_length_m)

    def _candidates(self, keyframe: Keyframe, descriptor: NDArray[np.float32]) -> _Pairs:
        """Return the pairs of a new keyframe with earlier ones that odometry does not rule out."""
        past = max(0, keyframe.number - self.settings.recent_keyframes + 1)
        if past < _MIN_PAIRS:
            return _no_pairs()
        similar = self._index.search(descriptor, _CANDIDATES, self._possible(keyframe, past))
        evidence = np.clip(_SLOPE * (similar.similarity - _ZERO), -_LIMIT, _LIMIT)
        query = np.full(len(similar.numbers), keyframe.number)
        found = _Pairs(query, similar.numbers, similar.similarity, evidence)
        return found.select(evidence > 0.0)

    def _possible(self, keyframe: Keyframe, past: int) -> NDArray[np.bool_]:
        """Return which of the first `past` keyframes odometry may have led back to."""
        if not keyframe.metric:
            return np.ones(past, bool)
        pose, segment, path_length_m = (column[:past] for column in self._index.table)
        east, north = (pose[:, axis] - keyframe.pose[axis] for axis in (0, 1))
        within = self.tolerance_m + self.settings.odometry_error * (
            keyframe.path_length_m - path_length_m
        )
        near = east * east + north * north <= within * within
        # The path length of another segment may be shorter and does not compare.
        possible: NDArray[np.bool_] = (segment != keyframe.segment) | near
        return possible

    def _closures(self, first_new: int) -> tuple[LoopClosure, ...]:
        """Return the closures of the strongest clique with a new pair, if it is strong enough."""
        pairs = self._pairs
        ends = self._ends(pairs.query), self._ends(pairs.match)
        agree = consistent_pairs(ends[0], ends[1], self.tolerance_m)
        seeds = range(first_new, len(pairs.query))
        cliques = [grow_clique(agree, pairs.evidence, seed) for seed in seeds]
        strength = np.array([pairs.evidence[clique].sum() for clique in cliques])
        best = int(np.argmax(strength))
        clique = cliques[best]
        elsewhere = self._is_elsewhere(pairs.match[first_new:], int(pairs.match[clique[0]]))
        rival = float(np.max(strength, initial=0.0, where=elsewhere))
        log_odds = float(strength[best]) - rival
        if log_odds < self.settings.min_log_odds or len(clique) < self._min_pairs(clique):
            return ()
        return tuple(
            self._closure(row, clique, log_odds) for row in np.sort(clique) if self._is_open(row)
        )

    def _min_pairs(self, clique: IntArray) -> int:
        """Return how many pairs a clique needs; all its pairs join the same two segments."""
        first = clique[0]
        ends = int(self._pairs.query[first]), int(self._pairs.match[first])
        metric = all(self.keyframes[end].metric for end in ends)
        return _MIN_PAIRS if metric else _MIN_WITHOUT_ODOMETRY

    def _is_open(self, row: int) -> bool:
        """Whether the query of a pair has no closure yet."""
        query = int(self._pairs.query[row])
        return self._closed_with[query] == query

    def _closure(self, row: int, clique: IntArray, log_odds: float) -> LoopClosure:
        pairs = self._pairs
        query, match = int(pairs.query[row]), int(pairs.match[row])
        self._closed_with[query] = match
        weight = pairs.evidence[clique]
        relative = relative_pose(
            self.keyframes[query],
            self.keyframes[match],
            self._ends(pairs.query[clique]).pose,
            self._ends(pairs.match[clique]).pose,
            weight,
            self._selector.settings.distance_m,
        )
        return LoopClosure(
            self.keyframes[query],
            self.keyframes[match],
            float(pairs.similarity[row]),
            log_odds,
            len(clique),
            relative,
        )

    def _is_elsewhere(self, matches: IntArray, best: int) -> NDArray[np.bool_]:
        """Return which keyframes [n] are of another place than `best`.

        The keyframes a little before and after it are of the same place, and so are all that they
        were closed with.
        """
        same = {self._first_visit(number) for number in self._around(best)}
        return np.array(
            [
                same.isdisjoint(self._first_visit(near) for near in self._around(match))
                for match in matches.tolist()
            ],
            bool,
        )

    def _first_visit(self, number: int) -> int:
        """Return the earliest keyframe that one is closed with, over however many laps."""
        while self._closed_with[number] != number:
            number = self._closed_with[number]
        return number

    def _around(self, number: int) -> set[int]:
        reach = round(_TOLERANCE)
        return set(range(max(0, number - reach), min(len(self._closed_with), number + reach + 1)))

    def _ends(self, numbers: IntArray) -> Ends:
        table = self._index.table
        return Ends(numbers, table.pose[numbers], table.segment[numbers])


def _no_pairs() -> _Pairs:
    return _Pairs(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0), np.empty(0))
