"""Feed the place filter with a camera's images: what is new in them, and how far it went."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from progeo_core.geo import FloatArray
from progeo_core.localization.place_filter import Belief, PlaceFilter
from progeo_core.poses.pose_buffer import PoseBuffer, Travel

IntArray = NDArray[np.int64]
View = NDArray[np.float32]

# An image that changed less than this share of a map spacing tells nothing new.
_MIN_NOVELTY = 0.3
# No image is surer a jump (carried off, images lost, a cut) than this: a quick turn also leaves
# nothing of the last image in view.
_SUREST_JUMP = 0.9
# Views of unrelated images have cosines about 0 with this spread; so has the usual likeness.
_LIKENESS_SIGMA = 0.1
# Odometry that went less than this share of a map spacing, and turned less than this (rad), says
# that the robot stands. Where an image shows nothing of the last one, taken less than this (s)
# before, the odometry has died; after a longer stop somebody may just stand before the camera.
_STANDING_SHARE, _STANDING_RAD, _SHORTLY_S = 0.1, 0.05, 2.0
# The usual likeness follows the last ten images or so.
_USUAL_GAIN = 0.1
# An image this much older (s) than the last starts a new run; a little older is only late.
_RESTART_S = 1.0


class Observation(NamedTuple):
    """Hold the belief after an image.

    steps: images that changed it since the start or reset. counted: whether this image did.
    """

    belief: Belief
    steps: int
    counted: bool


class _Seen(NamedTuple):
    """Hold the last image of one camera that counted."""

    view: View
    stamp_ns: int


class SequenceTracker:
    """Decide what each image means to the filter.

    Images that several cameras of one robot take at one stamp are evidence for one pose.

    Images of a camera that stands, a frozen driver or a duplicate repeat one piece of evidence, so
    they are let pass until enough has changed; the belief stays as it was.
    """

    def __init__(
        self,
        place_filter: PlaceFilter,
        neighbour_similarity: float,
        odometry: PoseBuffer | None = None,
    ) -> None:
        """Take a filter and how alike (map's contrast) neighbouring places of its map are.

        odometry: somebody else fills it; None for a robot without.
        """
        self._filter = place_filter
        self._neighbour_similarity = float(np.clip(neighbour_similarity, 0.1, 0.9))
        self._odometry = PoseBuffer() if odometry is None else odometry
        self.reset()

    def reset(self) -> None:
        """Start anew: nothing is known of where the camera is."""
        self._filter.reset()
        self._last: Observation | None = None
        self._seen: dict[str, _Seen] = {}
        self._last_stamp_ns = 0
        self._usual = self._neighbour_similarity
        self._steps = 0

    def observe(
        self,
        stamp_ns: int,
        view: View,
        candidates: IntArray,
        similarity_of: Callable[[IntArray], FloatArray],
        check: Callable[[Belief], FloatArray | None] | None = None,
        camera: str = "",
    ) -> Observation:
        """Return the belief after an image.

        stamp_ns: 0 unknown. view: [D] in the map's contrast. candidates: rows of places that look
        alike. similarity_of: gives the similarities of any rows to the image. check: gives further
        log odds for the places of a belief [s], None where it needs none. camera: its name; an
        image a little older than another camera's counts for the newest pose.
        """
        if self._restarted(stamp_ns):
            self.reset()
        before = self._seen.get(camera)
        alike = -1.0 if before is None else _likeness(view, before.view)
        novelty = min(1.0, (1.0 - alike) / (1.0 - self._neighbour_similarity))
        if self._last is not None and before is not None:
            if novelty < _MIN_NOVELTY or 0 < stamp_ns < before.stamp_ns:
                return self._last._replace(counted=False)
            # A jump that one camera has shown is not shown again by the others.
            if not 0 < stamp_ns <= self._last_stamp_ns:
                self._filter.doubt(self._jump_chance(alike))
            self._usual += _USUAL_GAIN * (alike - self._usual)
        carried = self._filter.predict(*self._motion(stamp_ns, novelty))
        rows = np.concatenate([carried, np.setdiff1d(candidates, carried)])
        belief = self._filter.update(rows, similarity_of(rows), novelty)
        log_odds = check(belief) if check else None
        if log_odds is not None:
            belief = self._filter.weigh(belief, log_odds)
        self._steps += 1
        self._last = Observation(belief, self._steps, counted=True)
        self._seen[camera] = _Seen(view, stamp_ns)
        self._last_stamp_ns = max(stamp_ns, self._last_stamp_ns) if stamp_ns else 0
        return self._last

    def _jump_chance(self, alike: float) -> float:
        """Return how probable it is that the camera did not drive from the last image to this one.

        Bayes' rule with two normal distributions of the likeness: about 0 after a jump, about the
        usual one of this drive otherwise. Never below the chance of being carried off: places that
        look alike hide a jump.
        """
        against = alike**2 - min(alike - self._usual, 0.0) ** 2
        odds = self._filter.settings.leave_rate * math.exp(
            -0.5 * np.clip(against, -0.2, 0.2) / _LIKENESS_SIGMA**2
        )
        return min(max(odds / (1.0 + odds), self._filter.settings.leave_rate), _SUREST_JUMP)

    def _restarted(self, stamp_ns: int) -> bool:
        """Say whether time was set back: a bag that loops, a simulation started again."""
        back_s = (self._last_stamp_ns - stamp_ns) * 1e-9
        return stamp_ns > 0 and back_s > _RESTART_S

    def _motion(self, stamp_ns: int, novelty: float) -> tuple[float | None, Travel | None]:
        """Return the time (s) and travel since the last image that counted, None unknown.

        novelty: how much of the image (0-1) the last one had not shown.
        """
        if not (stamp_ns and self._last_stamp_ns):
            return None, None
        if stamp_ns <= self._last_stamp_ns:
            return 0.0, None
        elapsed = (stamp_ns - self._last_stamp_ns) * 1e-9
        travel = self._odometry.travel(self._last_stamp_ns, stamp_ns)
        if travel is not None and self._stands(travel) and novelty >= 1.0 and elapsed < _SHORTLY_S:
            travel = None
        return elapsed, travel

    def _stands(self, travel: Travel) -> bool:
        """Say whether odometry tells of no motion."""
        least_m = _STANDING_SHARE * self._filter.spacing_m
        return travel.distance_m < least_m and abs(travel.turn_rad) < _STANDING_RAD


def _likeness(view: View, other: View) -> float:
    """Return the cosine of two views."""
    lengths = float(np.linalg.norm(view) * np.linalg.norm(other))
    return float(view @ other) / max(lengths, 1e-6)
