"""Verification of the places of an uncertain answer, and refinement of a sure one."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from progeo_core.geo import FloatArray
from progeo_core.images.codec import Image
from progeo_core.images.intrinsics import Intrinsics
from progeo_core.localization.consensus import distinct_places
from progeo_core.localization.place_filter import Belief
from progeo_core.map.place_map import PlaceMap, PlacePoses
from progeo_core.poses.pose_estimate import PoseEstimate
from progeo_core.verification.geometric_verifier import GeometricVerifier
from progeo_core.verification.pose_refinement import refine_pose

IntArray = NDArray[np.int64]

# Places farther apart than this many radii of a place show something else.
_APART_RADII = 2.0
# No image is compared with more places than this.
_MAX_PLACES = 10


class _Compared(NamedTuple):
    """Place [k] of each match, -1 not compared, and the log odds of each place [m]."""

    place: IntArray
    log_odds: FloatArray


class PlaceVerifier:
    """Verifier of a map's most probable places by the images that the map keeps of them."""

    def __init__(
        self, place_map: PlaceMap, places: PlacePoses, radius_m: float, spacing_m: float
    ) -> None:
        """Verify places of a map; radius_m: of one place. spacing_m: of the places."""
        self._places, self._radius_m, self._spacing_m = places, radius_m, spacing_m
        self._geometry = GeometricVerifier(place_map)

    def weigh_matches(
        self, image: Image, confidence: float, rows: IntArray, weight: FloatArray, budget_ms: int
    ) -> VerifiedPlaces:
        """Weigh the matches of one image, heaviest first, after comparing places.

        budget_ms: time after which no further place is compared. confidence: that the heaviest
        place is right. rows, weight: [k].
        """
        compared = self._compare(image, rows, weight, self._places.position[rows], budget_ms)
        return rerank_places(confidence, weight, compared.place, compared.log_odds)

    def log_odds(self, image: Image, belief: Belief, budget_ms: int) -> FloatArray:
        """Return the log odds of the places of a belief [s]; budget_ms: as for `weigh_matches`."""
        compared = self._compare(image, belief.rows, belief.probability, belief.position, budget_ms)
        log_odds: FloatArray = np.append(compared.log_odds, 0.0)[compared.place]
        return log_odds

    def refine(
        self, image: Image, intrinsics: Intrinsics, estimate: PoseEstimate, rows: IntArray
    ) -> PoseEstimate:
        """Refine a pose by the first of the places in `rows` that is near it."""
        offset = self._places.position[rows] - estimate.position
        near = rows[np.linalg.norm(offset, axis=1) <= self._radius_m]
        if not near.size:
            return estimate
        row = near[0]
        view = self._geometry.view_from(image, int(self._places.ids[row]), intrinsics)
        if view is None:
            return estimate
        position, yaw = self._places.position[row], float(self._places.yaw_rad[row])
        return refine_pose(estimate, position, yaw, view, self._spacing_m)

    def _compare(
        self, image: Image, rows: IntArray, weight: FloatArray, position: FloatArray, budget_ms: int
    ) -> _Compared:
        """Compare the heaviest places with an image; all [k] come heaviest first."""
        place = distinct_places(weight, position, self._radius_m, _MAX_PLACES)
        # So the first one of each place stands for it.
        _, first = np.unique(place[place >= 0], return_index=True)
        compared = rows[place >= 0][first]
        log_odds = self._geometry.log_odds(
            image,
            self._places.ids[compared],
            self._places.position[compared],
            _APART_RADII * self._radius_m,
            budget_ms,
        )
        return _Compared(place, log_odds)


class VerifiedPlaces(NamedTuple):
    """Weights [k] of an image's matches, and how probable the best place is."""

    weight: FloatArray
    confidence: float


def rerank_places(
    confidence: float, weight: FloatArray, place: NDArray[np.int64], log_odds: FloatArray
) -> VerifiedPlaces:
    """Apply Bayes' rule to the places of one image.

    confidence: that place 0 is right. weight: [k] of the matches. place: [k] number of each one's
    place, -1 not checked. log_odds: [m] per place. Before the check, other places are less probable
    than place 0 as they weigh less; the rest is for all that was not checked, or off the map.
    """
    # Row 0 stands for all that was not checked, of which nothing is said.
    owner = place + 1
    shares = np.bincount(owner, weight, len(log_odds) + 1)
    prior = confidence * shares / max(shares[1], 1e-300)
    others = prior[2:].sum()
    prior[2:] *= min(1.0, (1.0 - confidence) / max(others, 1e-300))
    prior[0] = max(0.0, 1.0 - prior[1:].sum())
    posterior = prior * np.exp(np.append(0.0, log_odds))
    posterior /= posterior.sum()
    spread = posterior / np.maximum(shares, 1e-300)
    return VerifiedPlaces(weight * spread[owner], float(posterior[1:].max()))
