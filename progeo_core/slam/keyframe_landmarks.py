"""Landmarks of keyframes from the keyframes around them, while the session goes on.

A keyframe waits until a few more have come, so that it has neighbours on both sides. Without depth,
its features are triangulated between them; with depth, its landmarks are compared with what they
see, and are refused where they contradict most of them.
"""

from __future__ import annotations

import collections
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from progeo_core.map.place_features import PlaceFeatures, PlaceView
from progeo_core.verification.feature_tracks import direct_tracks
from progeo_core.verification.known_view import KnownView, known_view
from progeo_core.verification.landmark_check import contradicts, rows_to_ask
from progeo_core.verification.triangulation import triangulate
from progeo_core.verification.view_neighbors import ViewNeighbors

# Keyframes that come before one is completed, and keyframes in memory: 512 features are 0.2 MB.
_DELAY, _KEPT = 4, 200

IntArray = NDArray[np.int64]


class CompletedView(NamedTuple):
    """View of a place with its landmarks. triangulated, refused: how they came, or went."""

    place_id: int
    view: PlaceView
    triangulated: bool
    refused: bool


class _Keyframe(NamedTuple):
    place_id: int
    view: PlaceView
    features: PlaceFeatures
    known: KnownView


class KeyframeLandmarks:
    """Keyframes of one session whose cameras are calibrated and have full poses."""

    def __init__(self) -> None:
        """Start without keyframes."""
        self._kept: collections.deque[_Keyframe] = collections.deque(maxlen=_KEPT)
        self._waiting = 0

    def add(self, place_id: int, view: PlaceView) -> list[CompletedView]:
        """Add the newest keyframe; return earlier views whose landmarks have changed."""
        known = known_view(view)
        if known is None or view.features is None:
            return []
        self._kept.append(_Keyframe(place_id, view, view.features, known))
        self._waiting += 1
        return self._completed(_DELAY)

    @property
    def first_waiting(self) -> int | None:
        """Return the first place whose view may still change, None where none may."""
        return self._kept[-self._waiting].place_id if self._waiting else None

    def finish(self) -> list[CompletedView]:
        """Return the views of those that still waited, where their landmarks have changed."""
        return self._completed(0)

    def _completed(self, left: int) -> list[CompletedView]:
        done = []
        for row in range(len(self._kept) - self._waiting, len(self._kept) - left):
            self._waiting -= 1
            done.append(self._complete(row))
        return [one for one in done if one is not None]

    def _complete(self, row: int) -> CompletedView | None:
        keyframe, neighbors = self._kept[row], self._neighbors(row)
        features = keyframe.features
        if features.has_landmark.any():
            others = self._known(rows_to_ask(row, len(self._kept), neighbors))
            if not contradicts(keyframe.known, features.landmarks, others):
                return None
            features = features.without_landmarks()
            view = keyframe.view._replace(features=features)
            return CompletedView(keyframe.place_id, view, triangulated=False, refused=True)
        others = self._known(neighbors)
        found = triangulate(keyframe.known, others, direct_tracks(keyframe.known, others))
        features = features._replace(landmarks=found.landmarks, sigma_m=found.sigma_m)
        if not features.has_landmark.any():
            return None
        view = keyframe.view._replace(features=features)
        return CompletedView(keyframe.place_id, view, triangulated=True, refused=False)

    def _neighbors(self, row: int) -> IntArray:
        position = np.stack([one.known.pose.position for one in self._kept])
        rotation = np.stack([one.known.rotation for one in self._kept])
        return ViewNeighbors(position, rotation).of(row)

    def _known(self, rows: IntArray) -> list[KnownView]:
        return [self._kept[row].known for row in rows.tolist()]
