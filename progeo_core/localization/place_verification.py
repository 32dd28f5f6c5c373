"""Verification of the places of an uncertain answer, and refinement of a sure one."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from progeo_core.geo import FloatArray
from progeo_core.localization.consensus import distinct_places
from progeo_core.localization.fitted_constants import VerificationConstants
from progeo_core.localization.inlier_evidence import Compared, sequence_log_odds
from progeo_core.localization.localizer_settings import LocalizerSettings
from progeo_core.localization.look_alikes import APART_RADII, MANY_ALIKE
from progeo_core.localization.near_inliers import compare_near
from progeo_core.localization.place_filter import Belief
from progeo_core.localization.prepared_map import PreparedMap
from progeo_core.localization.ranking import Query
from progeo_core.poses.pose_estimate import PoseEstimate

if TYPE_CHECKING:
    from progeo_core.verification.epipolar_inliers import Overlap
    from progeo_core.verification.place_feature_cache import KnownPlace
    from progeo_core.verification.query_view import QueryView

IntArray = NDArray[np.int64]

# No image is compared with more places than this, where many look alike with fewer, and one that is
# compared at all with so many: what fits the first place may fit others that are built to the same
# plan.
_MAX_PLACES, _MAX_ALIKE, _MIN_PLACES = 16, 5, 3
# What the members of one place share tells them apart less than places: images in a row err alike.
_WITHIN_SLOPE = 3.0
# Places of a belief before the one that the image by itself would choose.
_MAX_FIRST = 2


class PlaceVerifier:
    """Verifier of a map's most probable places by the local features of their images.

    constants: of the evidence. look_alikes: share of the map's places that look like some
    elsewhere.
    """

    def __init__(
        self,
        prepared: PreparedMap,
        radius_m: float,
        constants: VerificationConstants | None = None,
    ) -> None:
        """Verify places of a map; radius_m: of one place."""
        self._map, self._radius_m = prepared, radius_m
        self.constants = constants or VerificationConstants()
        self.look_alikes = prepared.look_alikes(radius_m)

    def log_odds(self, query: Query, belief: Belief, settings: LocalizerSettings) -> FloatArray:
        """Return the log odds of the places of a belief [s], heaviest first, by their inliers."""
        most = _MAX_ALIKE if self.look_alikes > MANY_ALIKE else _MAX_PLACES
        place = rival_places(belief, self._radius_m, most)
        prior = np.bincount(place + 1, belief.probability, place.max() + 2).astype(np.float64)
        prior[0] += belief.off_map
        rows = self._map.most_similar_images(query.standardized, belief.rows)
        # Finding the image's own features is no part of the time to compare them.
        self.detail(query)
        finish = time.monotonic() + settings.verification_ms * 1e-3
        compared = self._compare(query, rows, place, belief.position, prior, settings, finish)
        log_odds = sequence_log_odds(compared, self.constants)
        best = int(posterior_of_places(prior, log_odds)[1:].argmax())
        members = np.flatnonzero(place == best)
        inliers = np.full(len(members), np.nan)
        inliers[0] = compared.inliers[best]
        peak = compare_near(
            belief.probability[members],
            belief.position[members],
            inliers,
            lambda member: self.inliers(query, int(rows[members[member]])),
            _WITHIN_SLOPE,
            self.constants.chance_inliers,
            finish,
        )
        # A place is as probable as the one of its images that shares most.
        compared.inliers[best] = peak.inliers.max()
        log_odds = sequence_log_odds(compared, self.constants)
        # What was not compared fits no better than the best of what was, where that fits badly.
        known = log_odds != 0.0
        others = min(0.0, float(log_odds[known].max(initial=-np.inf))) if known.any() else 0.0
        of_places: FloatArray = np.append(np.where(known, log_odds, others), others)[place]
        of_places[members] += peak.log_odds
        return of_places

    def inliers(self, query: Query, row: int) -> float:
        """Return how many local features an image shares with a place, NaN where that has none."""
        # Only comparisons need torch.
        from progeo_core.verification.epipolar_inliers import count_inliers

        place = self._place(row)
        return float("nan") if place is None else count_inliers(self._view(query), place)

    def overlap(self, query: Query, row: int) -> Overlap | None:
        """Return what an image shares with a place, None where that has no features."""
        from progeo_core.verification.epipolar_inliers import overlap

        place = self._place(row)
        return None if place is None else overlap(self._view(query), place)

    def magnification(self, row: int, other: int) -> float:
        """Return the log magnification of what one place shares with another, NaN unknown."""
        from progeo_core.verification.epipolar_inliers import overlap
        from progeo_core.verification.place_feature_cache import view_of

        first, second = self._place(row), self._place(other)
        if first is None or second is None:
            return float("nan")
        return overlap(view_of(first), second).log_magnification

    def detail(self, query: Query) -> float:
        """Return which share of the usual number of local features an image has, 0 to 1."""
        from progeo_core.inference.feature_extractor import QUERY_FEATURES

        return min(1.0, len(self._view(query).features.points) / QUERY_FEATURES)

    def refine(self, query: Query, estimate: PoseEstimate, rows: IntArray) -> PoseEstimate:
        """Refine a pose by the first of the places in `rows` that is near it."""
        from progeo_core.verification.pose_refinement import refine_pose
        from progeo_core.verification.two_view_geometry import view_from

        offset = self._map.places.position[rows] - estimate.position
        near = rows[np.linalg.norm(offset, axis=1) <= self._radius_m]
        if not near.size:
            return estimate
        row = int(near[0])
        place = self._place(row)
        view = None if place is None else view_from(self._view(query), place)
        if view is None or not view.is_level:
            return estimate
        position, yaw = self._map.places.position[row], float(self._map.places.yaw_rad[row])
        turned, direction = yaw + view.turn_rad, yaw + view.bearing_rad
        return refine_pose(estimate, position, turned, direction, self._map.spacing.spacing_m)

    def _place(self, row: int) -> KnownPlace | None:
        return self._map.features.of([int(self._map.places.ids[row])])[0]

    def _view(self, query: Query) -> QueryView:
        assert query.image is not None
        return self._map.features.query(query.image, query.intrinsics)

    def _compare(
        self,
        query: Query,
        rows: IntArray,
        place: IntArray,
        position: FloatArray,
        prior: FloatArray,
        settings: LocalizerSettings,
        finish: float,
    ) -> Compared:
        """Compare an image with places [m], the heaviest first, until time is up.

        rows, place, position: [k] of the matches, the first of a place stands for it. prior:
        [m + 1] of all else and of each place.
        Stops where one of the compared places has become sure.
        """
        _, first = np.unique(place, return_index=True)
        first = first[place[first] >= 0]
        apart_m = APART_RADII * self._radius_m
        inliers, log_odds = np.full(len(first), np.nan), np.zeros(len(first))
        detail = self.detail(query)
        for number, row in enumerate(rows[first].tolist()):
            inliers[number] = self.inliers(query, row)
            compared = Compared(inliers, position[first], apart_m, self.look_alikes, detail)
            log_odds = sequence_log_odds(compared, self.constants)
            if number + 1 >= _MIN_PLACES and (
                time.monotonic() >= finish
                or posterior_of_places(prior, log_odds)[1 : number + 2].max()
                >= settings.min_confidence
            ):
                break
        return compared


def rival_places(belief: Belief, radius_m: float, most: int) -> IntArray:
    """Return the number of each place's [s] rival, in the order to compare them; -1: of none.

    most: rivals. Before the third, that of the most similar place elsewhere: a belief that went
    wrong has forgotten where the camera is.
    """
    probability, position = belief.probability, belief.position
    rival = distinct_places(probability, position, radius_m, _MAX_FIRST)
    rest = np.flatnonzero(rival < 0)
    if rest.size:
        outsider = rest[np.argmax(belief.similarity[rest])]
        near = np.linalg.norm(position[rest] - position[outsider], axis=1) <= radius_m
        rival[rest[near]] = _MAX_FIRST
        rest = rest[~near]
        last = distinct_places(probability[rest], position[rest], radius_m, most - _MAX_FIRST - 1)
        rival[rest] = np.where(last < 0, -1, last + _MAX_FIRST + 1)
    return rival


def posterior_of_places(prior: FloatArray, log_odds: FloatArray) -> FloatArray:
    """Return the probability [m + 1] of all else, of which nothing is said, and of each place."""
    posterior = prior * np.exp(np.append(0.0, log_odds))
    normalized: FloatArray = posterior / posterior.sum()
    return normalized
