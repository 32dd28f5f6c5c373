"""Places ranked for an image as part of its sequence: by the belief of the place filter."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from progeo_core.descriptors.standardization import RunningStandardization
from progeo_core.geo import FloatArray, wrap_angle
from progeo_core.localization.consensus import (
    ConsensusSettings,
    dominant_mode,
    estimate_from_belief,
)
from progeo_core.localization.decision import decide_belief
from progeo_core.localization.image_evidence import place_log_odds
from progeo_core.localization.localizer_settings import LocalizerSettings
from progeo_core.localization.look_alikes import MANY_ALIKE
from progeo_core.localization.place_filter import Belief, PlaceFilter
from progeo_core.localization.place_verification import PlaceVerifier
from progeo_core.localization.prepared_map import PreparedMap
from progeo_core.localization.ranking import Query, Ranking
from progeo_core.localization.sequence_tracker import SequenceTracker
from progeo_core.poses.pose_buffer import PoseBuffer

# Belief that a pose from outside gets; the rest is for images to show that it is wrong.
_GIVEN_BELIEF = 0.9
# Places farther from a given pose than this many standard deviations are not meant by it.
_GIVEN_SIGMAS = 3.0

# Every so many images, a sure belief is verified all the same: what confirms itself may be wrong.
_SPOT_CHECK = 3


class SequenceRanker:
    """Ranker of places by all images of a robot so far and by its odometry."""

    def __init__(
        self,
        prepared: PreparedMap,
        consensus: ConsensusSettings,
        verifier: PlaceVerifier,
        place_filter: PlaceFilter,
        odometry: PoseBuffer,
    ) -> None:
        """Follow a robot over a map; odometry: its poses, filled by their owner."""
        self._map, self._consensus, self._verifier = prepared, consensus, verifier
        self._odometry = odometry
        self._tracker = SequenceTracker(place_filter, prepared.spacing)
        self._running: dict[str, RunningStandardization] = {}

    def reset(self) -> None:
        """Forget the sequence so far: the next image may be from anywhere."""
        self._tracker.reset()
        self._running.clear()

    def continue_from(self, before: SequenceRanker) -> None:
        """Take over what is known of the robot from a ranker on another map in the same frame."""
        self.reset()
        self._tracker.continue_from(before._tracker)

    def start_at(self, pose: FloatArray, covariance: FloatArray) -> int:
        """Follow on from a pose, x, y, yaw [3] with covariance [3, 3]; return the places near it.

        Images may still overrule it. Nothing changes where no place is near.
        """
        spacing_m, places = self._map.spacing.spacing_m or 1.0, self._map.places
        # A place shows what is up to a spacing, and some turn, away from it.
        spread = covariance[:2, :2] + spacing_m**2 * np.eye(2)
        offset = places.position[:, :2] - pose[:2]
        distance = np.einsum("ni,ij,nj->n", offset, np.linalg.inv(spread), offset)
        rows = np.flatnonzero(distance < _GIVEN_SIGMAS**2)
        turn = np.nan_to_num(wrap_angle(places.yaw_rad[rows] - pose[2]))
        turn_variance = covariance[2, 2] + self._consensus.yaw_floor_rad**2
        misfit = distance[rows] + turn**2 / turn_variance
        if rows.size:
            likelihood = np.exp(-0.5 * (misfit - misfit.min()))
            self._tracker.start_at(rows, _GIVEN_BELIEF * likelihood / likelihood.sum())
        return int(rows.size)

    def rank(self, query: Query, settings: LocalizerSettings) -> Ranking:
        """Return the places that carry belief after an image, the most probable first."""
        travel = self._odometry.travel(self._tracker.last_stamp_ns, query.stamp_ns)
        carried = self._tracker.predict(query.stamp_ns, query.standardized, query.camera, travel)
        if carried is not None:
            rows = np.concatenate([carried, np.setdiff1d(query.candidates, carried)])
            similarity, log_odds = self._look(query, rows)
            belief = self._tracker.update(rows, similarity, log_odds)
            if query.image is not None and self._is_to_verify(belief, settings):
                self._tracker.weigh(self._verifier.log_odds(query, belief, settings))
        return self._ranking(self._tracker.belief, settings)

    def _look(self, query: Query, rows: NDArray[np.int64]) -> tuple[FloatArray, FloatArray]:
        """Return the similarities [k] of places and their log odds by them.

        What all images of the camera share is left out.
        """
        running = self._running.get(query.camera)
        if running is None:
            running = RunningStandardization(self._map.standardization)
            self._running[query.camera] = running
        view = running.view(query.descriptor)
        running.add(query.descriptor)
        similarity = self._map.similarity_of_poses(view, rows)
        usual = np.asarray(self._map.sample @ view, np.float64)
        constants = self._tracker.constants
        return similarity, place_log_odds(similarity, usual, self._map.far_spread, constants)

    def _is_to_verify(self, belief: Belief, settings: LocalizerSettings) -> bool:
        """Whether a belief needs verification to be accepted, or it is time for a spot check."""
        if self._tracker.steps % _SPOT_CHECK == 0 or self._verifier.look_alikes > MANY_ALIKE:
            return True
        radius_m = self._consensus.place_radius_m
        mode = dominant_mode(belief.probability, belief.position, radius_m)
        if not mode[np.argmax(belief.similarity)]:
            # The image by itself would choose another place.
            return True
        confidence = self._map.calibration.sequence.apply(float(belief.probability[mode].sum()))
        return confidence < settings.min_confidence

    def _ranking(self, belief: Belief, settings: LocalizerSettings) -> Ranking:
        estimate = estimate_from_belief(
            belief,
            self._map.places.yaw_rad[belief.rows],
            self._consensus,
            self._map.spacing.spacing_m,
        )
        confidence = self._map.calibration.sequence.apply(estimate.confidence)
        estimate = estimate._replace(confidence=confidence)
        decision = decide_belief(
            confidence, belief.off_map, self._tracker.steps, settings.min_confidence
        )
        return Ranking(belief.rows, belief.similarity, estimate, decision)
