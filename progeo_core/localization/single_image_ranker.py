"""Places ranked for one image by itself."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from progeo_core.geo import FloatArray
from progeo_core.localization.consensus import (
    ConsensusSettings,
    estimate_pose,
    match_weights,
    pose_from_weights,
    presence,
)
from progeo_core.localization.decision import decide_image
from progeo_core.localization.fitted_constants import SingleImageConstants
from progeo_core.localization.image_verification import ImageVerifier, WeightedMatches
from progeo_core.localization.localizer_settings import LocalizerSettings
from progeo_core.localization.place_verification import PlaceVerifier
from progeo_core.localization.prepared_map import PreparedMap
from progeo_core.localization.ranking import Query, Ranking
from progeo_core.poses.pose_estimate import PoseEstimate

# Places are ranked by their inliers also where none of them can be believed.
_MIN_ON_MAP = 1e-6


class SingleImageRanker:
    """Ranker of places by similarity, and by verification where that leaves doubt."""

    def __init__(
        self,
        prepared: PreparedMap,
        consensus: ConsensusSettings,
        verifier: PlaceVerifier,
        constants: SingleImageConstants | None = None,
    ) -> None:
        """Rank the places of a map."""
        self._map, self._consensus, self._look_alikes = prepared, consensus, verifier.look_alikes
        self._verifier = ImageVerifier(prepared, consensus.place_radius_m, verifier)
        self._constants = constants or SingleImageConstants()

    def rank(self, query: Query, settings: LocalizerSettings) -> Ranking:
        """Return the candidates of an image in the order of their similarity."""
        standardized = self._map.similarity(query.standardized, query.candidates)
        plain = self._map.plain_similarity(query.descriptor, query.candidates)
        # Plain cosine sees through other light, standardization through what a building shares.
        similarity = 0.5 * (standardized + plain)
        order = np.argsort(-similarity, kind="stable")
        on_map = presence(float(standardized.max()) / self._map.far_spread, self._constants)
        doubt = self._constants.alike_doubt * self._look_alikes
        on_map *= max(_MIN_ON_MAP, 1.0 - doubt)
        rows, similarity = query.candidates[order], similarity[order]
        estimate = estimate_pose(
            similarity,
            self._map.places.position[rows],
            self._map.places.yaw_rad[rows],
            self._consensus,
            constants=self._constants,
            resolution_m=self._map.spacing.spacing_m,
            on_map=on_map,
        )
        if query.image is None:
            return self._decided(rows, similarity, estimate, settings)
        # A map is calibrated by verified answers, so that this confidence is not.
        weight = match_weights(similarity, self._constants.sharpness)
        matches = WeightedMatches(rows, weight, estimate.confidence, on_map)
        return self._verified(query, matches, similarity, settings)

    def _verified(
        self,
        query: Query,
        matches: WeightedMatches,
        similarity: FloatArray,
        settings: LocalizerSettings,
    ) -> Ranking:
        """Return the ranking after the image was compared with those of its best places."""
        verified = self._verifier.weigh(query, matches, settings)
        order = np.argsort(-verified.weight, kind="stable")
        rows = matches.rows[order]
        estimate = pose_from_weights(
            verified.weight[order],
            self._map.places.position[rows],
            self._map.places.yaw_rad[rows],
            self._consensus,
            confidence=verified.confidence,
            resolution_m=self._map.spacing.spacing_m,
        )
        return self._decided(rows, similarity[order], estimate, settings)

    def _decided(
        self,
        rows: NDArray[np.int64],
        similarity: FloatArray,
        estimate: PoseEstimate,
        settings: LocalizerSettings,
    ) -> Ranking:
        confidence = self._map.calibration.single.apply(estimate.confidence)
        estimate = estimate._replace(confidence=confidence)
        decision = decide_image(estimate.confidence, settings.min_confidence)
        return Ranking(rows, similarity, estimate, decision)
