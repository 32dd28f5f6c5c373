"""Local features and landmarks of keyframes, found while the session goes on.

A keyframe is on disk before its features are looked for, and these are added in one transaction of
their own: a kill in between leaves a place without features.
"""

from __future__ import annotations

import collections
import dataclasses
import functools
import itertools
import logging
import re
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from progeo_core.errors import ImageError, ProgeoError
from progeo_core.images.depth import FloatArray32
from progeo_core.images.depth_buffer import DepthBuffer, RawDepth
from progeo_core.localization.answer import CameraFrame
from progeo_core.map.place_features import PlaceView
from progeo_core.map.recorder import MapRecorder
from progeo_core.poses.camera_pose import CameraPose
from progeo_core.slam.keyframe_landmarks import CompletedView, KeyframeLandmarks
from progeo_core.verification.landmark_note import TRIANGULATED

if TYPE_CHECKING:
    from progeo_core.verification.view_finder import DepthViewFinder

_log = logging.getLogger(__name__)

# Bytes of images that may wait; a keyframe beyond keeps its thumbnail only.
_MAX_WAITING = 64 << 20
# Depth comes at most this long (s) after its image; the more keyframes wait, the less each may.
_PATIENCE_S = 2.0
_FIGURE = re.compile(r"\d+(\.\d+)?")


@dataclasses.dataclass
class ViewCounts:
    """Counts of what became of the keyframes of a session.

    saved: with features on disk. landmarks: of these, with 3-D points. refused: whose depth or pose
    others contradict. skipped: as others still waited, or the disk refused. depth_dropped: depth
    images that could not be used. fault: what was wrong with the last of these, "" where nothing
    was.
    """

    saved: int = 0
    landmarks: int = 0
    refused: int = 0
    skipped: int = 0
    depth_dropped: int = 0
    fault: str = ""


class _Waiting(NamedTuple):
    """A keyframe. depth: what had come beside it already, as it is forgotten in a second."""

    place_id: int
    frame: CameraFrame
    pose: CameraPose | None
    depth: RawDepth | None

    @property
    def nbytes(self) -> int:
        depth = 0 if self.depth is None else len(self.depth.data)
        return self.frame.image.nbytes + depth


class KeyframeViews:
    """Thread that finds local features of keyframes and adds them to a map."""

    def __init__(
        self, live_map: MapRecorder, finder: DepthViewFinder, depths: Mapping[str, DepthBuffer]
    ) -> None:
        """Start the thread; depths: by camera, of those that have depth."""
        self._map, self._finder, self._depths = live_map, finder, depths
        self.counts = ViewCounts()
        self._landmarks = KeyframeLandmarks()
        self._changed = threading.Condition()
        self._waiting: collections.deque[_Waiting] = collections.deque()
        self._finishing = False
        self._next_id = live_map.last_before + 1
        self._thread = threading.Thread(target=self._run, name="keyframe_views", daemon=True)
        self._thread.start()

    def add(self, place_id: int, frame: CameraFrame, pose: CameraPose | None) -> None:
        """Leave a keyframe that is a place of the map, with its camera's pose; never waits."""
        buffer = self._depths.get(frame.camera)
        depth = None if buffer is None else buffer.now(frame.stamp_ns)
        keyframe = _Waiting(place_id, frame, pose, depth)
        with self._changed:
            self._next_id = place_id + 1
            waiting = sum(one.nbytes for one in self._waiting)
            if self._waiting and waiting + keyframe.nbytes > _MAX_WAITING:
                self.counts.skipped += 1
                return
            self._waiting.append(keyframe)
            self._changed.notify()

    @property
    def final_below(self) -> int:
        """Return the id of the first place whose view may still change, or is still to come."""
        with self._changed:
            waiting = [one.place_id for one in itertools.islice(self._waiting, 1)]
            completed = self._landmarks.first_waiting
            return min([*waiting, *([] if completed is None else [completed]), self._next_id])

    def finish(self) -> None:
        """Return when all keyframes that wait are done, and end the thread."""
        with self._changed:
            self._finishing = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._finishing)
                if not self._waiting:
                    break
                # It counts as waiting until it is done.
                keyframe = self._waiting[0]
            self._attempt(functools.partial(self._save, keyframe))
            with self._changed:
                self._waiting.popleft()
        self._attempt(lambda: self._complete(self._landmarks.finish()))

    def _attempt(self, work: Callable[[], None]) -> None:
        try:
            work()
        except ProgeoError as error:
            self._skip(str(error))
        except Exception as error:
            _log.exception("local features of a keyframe failed")
            self._skip(f"{type(error).__name__}: {error}")

    def _save(self, keyframe: _Waiting) -> None:
        frame, faults = keyframe.frame, self._finder.faults.copy()
        (view,) = self._finder.find(
            [frame.image], [self._depth(keyframe)], [keyframe.pose], [frame.intrinsics]
        )
        for fault in self._finder.faults - faults:  # The finder has logged it.
            self.counts.depth_dropped += 1
            self.counts.fault = fault
        self._map.add_view(keyframe.place_id, view, self._finder.note)
        self.counts.saved += 1
        self.counts.landmarks += _has_landmarks(view)
        self._complete(self._landmarks.add(keyframe.place_id, view))

    def _complete(self, completed: list[CompletedView]) -> None:
        """Write the views of keyframes whose landmarks have changed."""
        for place_id, view, triangulated, refused in completed:
            source = TRIANGULATED if triangulated else ""
            self._map.add_view(place_id, view, self._finder.note._replace(source=source))
            self.counts.landmarks += triangulated - bool(refused)
            self.counts.refused += bool(refused)
            if refused:
                self._tell("the 3-D points of a keyframe are refused", refused)

    def _depth(self, keyframe: _Waiting) -> FloatArray32 | None:
        """Return the depth of a keyframe, None and counted where it cannot be used."""
        raw, buffer = keyframe.depth, self._depths.get(keyframe.frame.camera)
        if raw is None and buffer is not None:
            # At the end no more depth comes.
            patience_s = 0.0 if self._finishing else _PATIENCE_S / len(self._waiting)
            raw = buffer.at(keyframe.frame.stamp_ns, patience_s)
        if raw is None:
            return None
        try:
            return raw.metres()
        except ImageError as error:
            self.counts.depth_dropped += 1
            self._tell("the depth of a keyframe is not used", str(error))
            return None

    def _skip(self, reason: str) -> None:
        self.counts.skipped += 1
        self._tell("a keyframe keeps its thumbnail only", reason)

    def _tell(self, what: str, reason: str) -> None:
        """Log what is wrong once, until something else is: figures may differ."""
        if _FIGURE.sub("", reason) != _FIGURE.sub("", self.counts.fault):
            _log.warning("%s: %s", what, reason)
        self.counts.fault = reason


def _has_landmarks(view: PlaceView) -> bool:
    return view.features is not None and bool(view.features.has_landmark.any())
