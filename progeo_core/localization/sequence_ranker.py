"""Places ranked for an image as part of its sequence: by the belief of the place filter."""

from __future__ import annotations

import numpy as np

from progeo_core.descriptors.standardization import RunningStandardization
from progeo_core.geo import FloatArray
from progeo_core.localization.consensus import (
    ConsensusSettings,
    dominant_mode,
    estimate_from_belief,
)
from progeo_core.localization.decision import decide_belief
from progeo_core.localization.localizer_settings import LocalizerSettings
from progeo_core.localization.place_filter import Belief, PlaceFilter
from progeo_core.localization.place_verification import PlaceVerifier
from progeo_core.localization.prepared_map import PreparedMap
from progeo_core.localization.ranking import Query, Ranking
from progeo_core.localization.sequence_tracker import SequenceTracker
from progeo_core.poses.pose_buffer import PoseBuffer


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
        self._tracker = SequenceTracker(place_filter, prepared.spacing.neighbour_similarity)
        self._running: dict[str, RunningStandardization] = {}

    def reset(self) -> None:
        """Forget the sequence so far: the next image may be from anywhere."""
        self._tracker.reset()
        self._running.clear()

    def rank(self, query: Query, settings: LocalizerSettings) -> Ranking:
        """Return the places that carry belief after an image, the most probable first."""
        travel = self._odometry.travel(self._tracker.last_stamp_ns, query.stamp_ns)
        carried = self._tracker.predict(query.stamp_ns, query.standardized, query.camera, travel)
        if carried is not None:
            rows = np.concatenate([carried, np.setdiff1d(query.candidates, carried)])
            belief = self._tracker.update(rows, self._similarity(query, rows))
            if query.image is not None and not self._is_sure(belief, settings):
                self._tracker.weigh(self._verifier.log_odds(query, belief, settings))
        return self._ranking(self._tracker.belief, settings)

    def _similarity(self, query: Query, rows: np.ndarray) -> FloatArray:
        """Return the similarities [k] of places, without what all images of the camera share."""
        running = self._running.get(query.camera)
        if running is None:
            running = RunningStandardization(self._map.standardization)
            self._running[query.camera] = running
        similarity = self._map.similarity_of_poses(running.view(query.descriptor), rows)
        running.add(query.descriptor)
        return similarity

    def _is_sure(self, belief: Belief, settings: LocalizerSettings) -> bool:
        """Whether a belief needs no verification to be accepted."""
        radius_m = self._consensus.place_radius_m
        mode = dominant_mode(belief.probability, belief.position, radius_m)
        confidence = self._map.calibration.sequence.apply(float(belief.probability[mode].sum()))
        return confidence >= settings.min_confidence

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
