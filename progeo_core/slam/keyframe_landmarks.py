"""Landmarks of keyframes from the keyframes around them, while the session goes on.

A keyframe waits until a few more have come, so that it has neighbours on both sides. Without depth,
its features are triangulated between them. Its landmarks are compared with what they see, and are
refused where these contradict them, by the rule of maps that are built (`LandmarkJudge`): this may
be later, when more is known, and of several keyframes at once.
"""

from __future__ import annotations

import collections
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from progeo_core.map.place_features import PlaceView
from progeo_core.verification.feature_tracks import direct_tracks
from progeo_core.verification.known_view import KnownView, known_view
from progeo_core.verification.landmark_check import rows_to_ask, sightings
from progeo_core.verification.landmark_judge import LandmarkJudge
from progeo_core.verification.triangulation import triangulate
from progeo_core.verification.view_neighbors import ViewNeighbors

# Keyframes that come before one is completed, and keyframes in memory: 512 features are 0.2 MB.
_DELAY, _KEPT = 4, 200

IntArray = NDArray[np.int64]


class CompletedView(NamedTuple):
    """View of a place with its landmarks. triangulated: how they came. refused: why they went."""

    place_id: int
    view: PlaceView
    triangulated: bool
    refused: str


class _Keyframe(NamedTuple):
    place_id: int
    view: PlaceView
    known: KnownView


class KeyframeLandmarks:
    """Keyframes of one session whose cameras are calibrated and have full poses."""

    def __init__(self) -> None:
        """Start without keyframes."""
        self._kept: collections.deque[_Keyframe] = collections.deque()
        self._waiting = 0
        self._judge = LandmarkJudge()

    def add(self, place_id: int, view: PlaceView) -> list[CompletedView]:
        """Add the newest keyframe; return earlier views whose landmarks have changed."""
        known = known_view(view)
        if known is None:
            return []
        self._kept.append(_Keyframe(place_id, view, known))
        self._waiting += 1
        while len(self._kept) > _KEPT:
            self._judge.forget(self._kept.popleft().place_id)
        return self._completed(_DELAY)

    @property
    def first_waiting(self) -> int | None:
        """Return the first place whose landmarks are not found yet, None where there is none.

        Earlier ones may still lose theirs, where later keyframes contradict them.
        """
        return self._kept[-self._waiting].place_id if self._waiting else None

    def finish(self) -> list[CompletedView]:
        """Return the views of those that still waited, where their landmarks have changed."""
        return self._completed(0)

    def _completed(self, left: int) -> list[CompletedView]:
        rows = range(len(self._kept) - self._waiting, len(self._kept) - left)
        if not rows:
            return []
        self._waiting = left
        triangulated = {self._kept[row].place_id for row in rows if self._complete(row)}
        refused = self._refused()
        return [
            CompletedView(one.place_id, one.view, one.place_id in triangulated, why)
            for one in self._kept
            if (why := refused.get(one.place_id, "")) or one.place_id in triangulated
        ]

    def _complete(self, row: int) -> bool:
        """Let a judge know what others see of a keyframe; return whether it was triangulated."""
        keyframe, neighbors = self._kept[row], self._neighbors(row)
        features = keyframe.view.features
        assert features is not None
        is_new = not features.has_landmark.any()
        if is_new:
            others = [self._kept[other].known for other in neighbors.tolist()]
            found = triangulate(keyframe.known, others, direct_tracks(keyframe.known, others))
            features = features._replace(landmarks=found.landmarks, sigma_m=found.sigma_m)
            if not features.has_landmark.any():
                return False
            view = keyframe.view._replace(features=features)
            self._kept[row] = keyframe._replace(view=view)
        asked = [self._kept[other] for other in rows_to_ask(row, len(self._kept), neighbors)]
        known = {one.place_id: one.known for one in asked}
        seen = sightings(keyframe.known, features.landmarks, known)
        self._judge.add(keyframe.place_id, keyframe.known.pose, not is_new, seen)
        return is_new

    def _refused(self) -> dict[int, str]:
        """Take the landmarks from keyframes that others contradict; return the reason of each."""
        refused = {}
        reasons = self._judge.refused()
        for row, (place_id, view, _) in enumerate(self._kept):
            has = view.features is not None and view.features.has_landmark.any()
            if has and place_id in reasons:
                refused[place_id] = reasons[place_id]
                self._kept[row] = self._kept[row]._replace(view=view.without_landmarks())
        return refused

    def _neighbors(self, row: int) -> IntArray:
        position = np.stack([one.known.pose.position for one in self._kept])
        rotation = np.stack([one.known.rotation for one in self._kept])
        return ViewNeighbors(position, rotation).of(row)
