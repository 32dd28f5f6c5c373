"""Frames that move in each other, and poses of one in another, as tf2 has them."""

from __future__ import annotations

import bisect
import math

import numpy as np
from numpy.typing import NDArray

from progeo_core.geo import Frame
from progeo_core.poses.pose_track import MAX_POSE_GAP_S, PoseTrack
from progeo_core.poses.transform import IDENTITY, FrameTree, Transform

# A transform that is this much older than the last (s) is of a new run (simulation, bag loop).
_RESTART_S = 1.0
_NS_PER_S = 1_000_000_000


class _History:
    """Poses of one frame in its parent, in the order of time."""

    def __init__(self, parent: str) -> None:
        self.parent = parent
        self.stamps: list[int] = []
        self._poses: list[Transform] = []

    def add(self, stamp_ns: int, pose: Transform) -> None:
        if self.stamps and stamp_ns <= self.stamps[-1]:
            if (self.stamps[-1] - stamp_ns) / _NS_PER_S < _RESTART_S:
                return  # twice, or late
            self.forget_before(math.inf)
        self.stamps.append(stamp_ns)
        self._poses.append(pose)

    def forget_before(self, stamp_ns: float) -> None:
        """Keep what is needed from a stamp on: that is one pose before it, too."""
        old = max(0, bisect.bisect_right(self.stamps, stamp_ns) - 1)
        if math.isinf(stamp_ns):
            old = len(self.stamps)
        del self.stamps[:old], self._poses[:old]

    def at(self, stamps_ns: NDArray[np.int64], max_gap_s: float) -> Transform:
        """Return the poses at stamps [n], NaN where there is none near on either side."""
        first = max(0, bisect.bisect_right(self.stamps, int(stamps_ns.min())) - 1)
        last = bisect.bisect_left(self.stamps, int(stamps_ns.max())) + 1
        poses = self._poses[first:last]
        track = PoseTrack.from_poses(
            self.stamps[first:last],
            [pose.position for pose in poses],
            Frame.LOCAL,
            np.zeros(len(poses)),
            np.reshape([pose.orientation for pose in poses], (-1, 4)),
        )
        position = track.at(stamps_ns, max_gap_s).position
        return Transform(position, track.orientation_at(stamps_ns, max_gap_s))


class TransformTree:
    """Tree of frames, of which some are fixed in their parents and others move; for one thread."""

    def __init__(self, fixed: FrameTree | None = None) -> None:
        """Start with frames that are fixed; their owner may add to them."""
        self.frames = FrameTree() if fixed is None else fixed
        self._moving: dict[str, _History] = {}

    def add(self, stamp_ns: int, parent: str, child: str, pose: Transform) -> bool:
        """Add the pose of a frame that moves in its parent; return whether it could be used."""
        if stamp_ns <= 0 or not self.frames.add(parent, child, pose):
            return False
        history = self._moving.get(child)
        if history is None or history.parent != parent:
            history = self._moving[child] = _History(parent)
        history.add(stamp_ns, pose)
        return True

    def stamps(self, frame: str, inside: str, after_ns: int = 0) -> NDArray[np.int64]:
        """Return the stamps (ns) later than one at which a frame has a pose in another.

        They are those of the moving frame next to it. None is later than what all know.
        """
        moving = self._moving_between(frame, inside)
        if not moving:
            return np.empty(0, np.int64)
        known_ns = min(history.stamps[-1] for history in moving)
        stamps = moving[0].stamps
        begin, end = bisect.bisect_right(stamps, after_ns), bisect.bisect_right(stamps, known_ns)
        return np.array(stamps[begin:end], np.int64)

    def at(
        self,
        stamps_ns: NDArray[np.int64],
        frame: str,
        inside: str,
        max_gap_s: float = MAX_POSE_GAP_S,
    ) -> Transform | None:
        """Return the poses of a frame in another at stamps [n]; None where nothing connects them.

        NaN where a frame in between has no pose near on either side (see `PoseTrack.at`).
        """
        chain = self.frames.chain(frame, inside)
        if chain is None:
            return None
        up, down = (self._steps(part, stamps_ns, max_gap_s) for part in chain)
        known = np.ones(len(stamps_ns), bool)
        for step in (*up, *down):
            known &= np.isfinite(step.position).all(axis=-1)
        found = Transform(np.full((len(known), 3), np.nan), np.full((len(known), 4), np.nan))
        if known.any():
            outer, inner = (_composed(part, known) for part in (down, up))
            pose = outer.inverse().then(inner)
            found.position[known], found.orientation[known] = pose
        return found

    def _steps(
        self, part: dict[str, Transform], stamps_ns: NDArray[np.int64], max_gap_s: float
    ) -> list[Transform]:
        """Return the poses [n, …] of frames in their parents; [1, …] of those that are fixed."""
        return [
            self._moving[child].at(stamps_ns, max_gap_s)
            if child in self._moving
            else Transform(fixed.position[None], fixed.orientation[None])
            for child, fixed in part.items()
        ]

    def forget_before(self, stamp_ns: int) -> None:
        """Forget what no pose from a stamp on needs."""
        for history in self._moving.values():
            history.forget_before(stamp_ns)

    def _moving_between(self, frame: str, inside: str) -> list[_History]:
        """Return the moving frames between two, the one nearest to the first of them first."""
        chain = self.frames.chain(frame, inside)
        if chain is None:
            return []
        between = [*chain.up, *reversed(chain.down)]
        return [self._moving[child] for child in between if child in self._moving]


def _composed(steps: list[Transform], rows: NDArray[np.bool_]) -> Transform:
    """Return the pose of the first frame in the parent of the last, at some rows."""
    pose = IDENTITY
    for step in steps:
        moves = len(step.position) == len(rows)
        known = Transform(step.position[rows], step.orientation[rows]) if moves else step
        pose = known.then(pose)
    return pose
