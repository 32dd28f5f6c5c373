"""Feed the place filter with a camera's images: what is new in them, and how far it went."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from progeo_core.geo import FloatArray
from progeo_core.localization.fitted_constants import SequenceConstants
from progeo_core.localization.map_spacing import MapSpacing
from progeo_core.localization.place_filter import Belief, PlaceFilter
from progeo_core.poses.pose_buffer import Travel

IntArray = NDArray[np.int64]
Descriptor = NDArray[np.float32]

# An image that changed less than this share of a map spacing tells nothing new.
_MIN_NOVELTY = 0.3
# No image is surer a jump (carried off, images lost, a cut) than this: a quick turn also leaves
# nothing of the last image in view.
_SUREST_JUMP = 0.9
# Views of unrelated images have cosines about 0 with this spread; so has the usual similarity.
_SIMILARITY_SIGMA = 0.1
# Odometry that went less than this share of a map spacing, and turned less than this (rad), says
# that the robot stands. Where an image shows nothing of the last one, taken less than this (s)
# before, the odometry has died; after a longer stop somebody may just stand before the camera.
_STANDING_SHARE, _STANDING_RAD, _SHORTLY_S = 0.1, 0.05, 2.0
# The usual similarity follows the last ten images or so.
_USUAL_GAIN = 0.1
# An image this much older (s) than the last starts a new run; a little older is only late.
_RESTART_S = 1.0


class _LastImage(NamedTuple):
    """Last image of one camera that counted."""

    descriptor: Descriptor
    stamp_ns: int


class SequenceTracker:
    """Tracker of one robot: for every image `predict`, then `update`, then perhaps `weigh`.

    Images of a camera that stands, a frozen driver or a duplicate repeat one piece of evidence, so
    `predict` passes over them until enough has changed, and the belief stays as it was; unless they
    speak against it, as those of a covered lens do: then it fades. Images that several cameras of
    one robot take at one stamp are evidence for one pose.

    belief: after the last image that counted. steps: number of those since the start or reset.
    last_stamp_ns: the newest stamp of them, 0 unknown.
    """

    belief: Belief

    def __init__(self, place_filter: PlaceFilter, spacing: MapSpacing) -> None:
        """Track by a filter; spacing: of its map."""
        self._filter, self._spacing_m = place_filter, spacing.spacing_m
        self._neighbour_similarity = float(np.clip(spacing.neighbour_similarity, 0.1, 0.9))
        self.reset()

    def reset(self) -> None:
        """Forget everything: nothing is known of where the robot is."""
        self._filter.reset()
        self._last_images: dict[str, _LastImage] = {}
        self.last_stamp_ns = 0
        self.steps = 0
        self._usual = self._neighbour_similarity
        self._novelty = 1.0
        self._support = 0.0
        self._passed_ns, self._stood_s = 0, 0.0

    def start_at(self, rows: IntArray, probability: FloatArray) -> None:
        """Forget everything but a belief over places [s], as of a pose that somebody gave."""
        self.reset()
        self._filter.start_at(rows, probability)

    def continue_from(self, before: SequenceTracker) -> None:
        """Take over what is known of the robot from a tracker on another map in the same frame.

        The next image of every camera counts as new, as maps standardize descriptors each their
        own way.
        """
        self.reset()
        self._filter.continue_from(before._filter)
        self.last_stamp_ns, self.steps = before.last_stamp_ns, before.steps
        self._stood_s = before._stood_s

    def predict(
        self, stamp_ns: int, descriptor: Descriptor, camera: str, travel: Travel | None
    ) -> IntArray | None:
        """Move the belief on to an image; return the rows of places that now carry some.

        stamp_ns: 0 unknown, as is one that the camera's last image had already. descriptor: [D] in
        the map's standardization. camera: its name; an image a little older than another camera's
        counts for the newest pose. travel: odometry since `last_stamp_ns`, None unknown.
        Returns None for an image that shows nothing new or comes late: it does not count.
        """
        if self._is_restart(stamp_ns):
            self.reset()
        before = self._last_images.get(camera)
        similarity = -1.0 if before is None else _cosine(descriptor, before.descriptor)
        novelty = min(1.0, (1.0 - similarity) / (1.0 - self._neighbour_similarity))
        # A camera takes no two images at once: stamps are too coarse, or the clock stands.
        time_ns = 0 if before is not None and stamp_ns == before.stamp_ns else stamp_ns
        if before is not None:
            if novelty < _MIN_NOVELTY or 0 < stamp_ns < before.stamp_ns:
                self._pass_over(stamp_ns, travel)
                return None
            # A jump that one camera has shown is not shown again by the others.
            if not 0 < time_ns <= self.last_stamp_ns:
                self._filter.doubt(self._jump_chance(similarity))
            self._usual += _USUAL_GAIN * (similarity - self._usual)
        moved_m = novelty * self._spacing_m
        carried = self._filter.predict(*self._motion(time_ns, novelty, travel), moved_m)
        self._stood_s = 0.0
        self._novelty = novelty
        self._last_images[camera] = _LastImage(descriptor, stamp_ns)
        self.last_stamp_ns = max(stamp_ns, self.last_stamp_ns) if stamp_ns else 0
        self.steps += 1
        return carried

    @property
    def constants(self) -> SequenceConstants:
        """Return the constants of the filter."""
        return self._filter.constants

    def update(self, rows: IntArray, similarity: FloatArray, log_odds: FloatArray) -> Belief:
        """Return the belief after the image that `predict` was given.

        rows: [k] distinct, first those that `predict` returned, in that order, then any others that
        look similar. similarity, log_odds: as `PlaceFilter.update` has them.
        """
        self.belief = self._filter.update(rows, similarity, log_odds, self._novelty)
        order = np.argsort(rows)
        believed = order[np.searchsorted(rows, self.belief.rows, sorter=order)]
        self._support = float(self.belief.probability @ log_odds[believed])
        return self.belief

    def weigh(self, log_odds: FloatArray) -> Belief:
        """Return the belief after more evidence of the same image for its places [s]."""
        self._support += float(self.belief.probability @ log_odds)
        self.belief = self._filter.weigh(self.belief, log_odds)
        return self.belief

    def _pass_over(self, stamp_ns: int, travel: Travel | None) -> None:
        """Note that the camera stands, or doubt it where the last image spoke against the belief.

        Every second of doubt counts as much as that image did.
        """
        elapsed = (stamp_ns - max(self.last_stamp_ns, self._passed_ns)) * 1e-9
        if not self.last_stamp_ns or elapsed <= 0.0:
            return
        self._passed_ns = stamp_ns
        stands = travel is not None and self._stands(travel)
        kept = 1.0 if stands else math.exp(min(0.0, self._support * elapsed))
        # What little an image says against a belief that there hardly is, is no time out of sight.
        self._stood_s += kept * elapsed
        if kept == 1.0:
            return
        self._filter.doubt(1.0 - kept)
        probability = kept * self.belief.probability
        self.belief = self.belief._replace(
            probability=probability, off_map=1.0 - float(probability.sum())
        )

    def _jump_chance(self, similarity: float) -> float:
        """Return how probable it is that the camera did not drive from the last image to this one.

        Bayes' rule with two normal distributions of the similarity: about 0 after a jump, about the
        usual one of this drive otherwise. Never below the chance of being carried off: places that
        look the same hide a jump.
        """
        against = similarity**2 - min(similarity - self._usual, 0.0) ** 2
        odds = self.constants.leave_rate * math.exp(
            -0.5 * np.clip(against, -0.2, 0.2) / _SIMILARITY_SIGMA**2
        )
        return min(max(odds / (1.0 + odds), self.constants.leave_rate), _SUREST_JUMP)

    def _is_restart(self, stamp_ns: int) -> bool:
        """Whether time was set back: a bag that loops, a simulation started again."""
        back_s = (self.last_stamp_ns - stamp_ns) * 1e-9
        return stamp_ns > 0 and back_s > _RESTART_S

    def _motion(
        self, stamp_ns: int, novelty: float, travel: Travel | None
    ) -> tuple[float | None, Travel | None]:
        """Return the time (s) and travel since the last image that counted, None unknown.

        novelty: how much of the image (0-1) the last one had not shown.
        """
        if not self.steps:
            # Nothing is known yet, or a pose was given: of now, as nobody says of when.
            return 0.0, None
        if not (stamp_ns and self.last_stamp_ns):
            return None, None
        if stamp_ns <= self.last_stamp_ns:
            return 0.0, None
        elapsed = (stamp_ns - self.last_stamp_ns) * 1e-9
        if travel is not None and self._stands(travel) and novelty >= 1.0 and elapsed < _SHORTLY_S:
            travel = None
        # While images stayed the same, the camera stood.
        return elapsed - (self._stood_s if travel is None else 0.0), travel

    def _stands(self, travel: Travel) -> bool:
        """Whether odometry tells of no motion."""
        min_m = _STANDING_SHARE * self._filter.spacing_m
        return travel.distance_m < min_m and abs(travel.turn_rad) < _STANDING_RAD


def _cosine(first: Descriptor, second: Descriptor) -> float:
    """Return the cosine of two descriptors."""
    lengths = float(np.linalg.norm(first) * np.linalg.norm(second))
    return float(first @ second) / max(lengths, 1e-6)
