"""The latest depth images of one camera, for the few images whose depth is asked for."""

from __future__ import annotations

import collections
import threading
from typing import TYPE_CHECKING, NamedTuple

from progeo_core.images.depth import FloatArray32, depth_from_raw

if TYPE_CHECKING:
    from progeo_core.images.ros_encodings import MessageData

# An image and the depth beside it are taken at one time, or a frame apart (s).
MAX_DEPTH_GAP_S = 0.05
# A second at 30 Hz: images are asked for within that time.
_KEPT = 30
# Depth that is this much older than the last is of a new run (simulation, bag loop).
_RESTART_NS = 1_000_000_000
_NS_PER_S = 1_000_000_000


class RawDepth(NamedTuple):
    """Depth image as a sensor_msgs/Image has it, still to be decoded."""

    data: MessageData
    height: int
    width: int
    encoding: str
    step: int
    is_bigendian: bool

    def metres(self) -> FloatArray32:
        """Return metres [h, w], NaN unknown; raise `ImageError` as `depth_from_raw` does."""
        return depth_from_raw(
            self.data,
            height=self.height,
            width=self.width,
            encoding=self.encoding,
            step=self.step,
            is_bigendian=self.is_bigendian,
        )


class DepthBuffer:
    """Latest depth images of one camera by stamp; every method may be called from any thread."""

    def __init__(self) -> None:
        """Start without depth."""
        self._changed = threading.Condition()
        self._stamps: collections.deque[int] = collections.deque(maxlen=_KEPT)
        self._depths: collections.deque[RawDepth] = collections.deque(maxlen=_KEPT)
        self.received = 0

    def add(self, stamp_ns: int, depth: RawDepth) -> None:
        """Add a depth image."""
        with self._changed:
            if self._stamps and stamp_ns < self._stamps[-1] - _RESTART_NS:
                self._stamps.clear()
                self._depths.clear()
            self._stamps.append(stamp_ns)
            self._depths.append(depth)
            self.received += 1
            self._changed.notify_all()

    def now(self, stamp_ns: int) -> RawDepth | None:
        """Return what `at` does, but None while a nearer one may still come."""
        with self._changed:
            return self.at(stamp_ns) if self._passed(stamp_ns) else None

    def at(self, stamp_ns: int, patience_s: float = 0.0) -> RawDepth | None:
        """Return the depth nearest to a stamp, None where none is near.

        patience_s: how long to wait for one that was not taken before the stamp.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._passed(stamp_ns), patience_s)
            gaps = [abs(stamp - stamp_ns) for stamp in self._stamps]
            if not gaps or min(gaps) > MAX_DEPTH_GAP_S * _NS_PER_S:
                return None
            return self._depths[gaps.index(min(gaps))]

    def _passed(self, stamp_ns: int) -> bool:
        return bool(self._stamps) and max(self._stamps) >= stamp_ns
