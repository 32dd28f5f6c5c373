"""Verification of an image by itself: which of its matches is right, by their inliers."""

from __future__ import annotations

import functools
import math
import time
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from progeo_core.geo import FloatArray
from progeo_core.localization.beyond_the_end import BeyondTheEnd
from progeo_core.localization.consensus import distinct_places
from progeo_core.localization.inlier_evidence import Compared, image_log_odds
from progeo_core.localization.localizer_settings import LocalizerSettings
from progeo_core.localization.look_alikes import APART_RADII
from progeo_core.localization.near_inliers import compare_near
from progeo_core.localization.place_verification import PlaceVerifier, posterior_of_places
from progeo_core.localization.prepared_map import PreparedMap
from progeo_core.localization.ranking import Query

IntArray = NDArray[np.int64]

# An image is compared with no more places than this, in any case with so many, and is not sure
# before it was with some more: what fits a place may fit others that are built to the same plan.
_MAX_PLACES, _MIN_PLACES, _MIN_SURE = 12, 3, 5


class WeightedMatches(NamedTuple):
    """Matches of one image before verification, heaviest first.

    rows, weight: [k]. confidence: that the place of the heaviest is right. presence: how probable
    it is that any place of the map is.
    """

    rows: IntArray
    weight: FloatArray
    confidence: float
    presence: float


class VerifiedPlaces(NamedTuple):
    """Weights [k] of an image's matches, and how probable the best place is."""

    weight: FloatArray
    confidence: float


class ImageVerifier:
    """Verifier of the matches of one image, which no other image supports."""

    def __init__(self, prepared: PreparedMap, radius_m: float, verifier: PlaceVerifier) -> None:
        """Verify places of a map; radius_m: of one place. verifier: counts inliers."""
        self._map, self._radius_m, self._verifier = prepared, radius_m, verifier

    @functools.cached_property
    def _beyond(self) -> BeyondTheEnd:
        return BeyondTheEnd(self._map.places.position, self._radius_m, self._verifier)

    def weigh(
        self, query: Query, matches: WeightedMatches, settings: LocalizerSettings
    ) -> VerifiedPlaces:
        """Weigh the matches of an image by the inliers of their places.

        One image of each place is compared, the heaviest first, until one place has become sure.
        Then those around it are: the place may begin just beyond.
        """
        # Finding the image's own features is no part of the time to compare them.
        self._verifier.detail(query)
        finish = time.monotonic() + settings.verification_ms * 1e-3
        position = self._map.places.position[matches.rows]
        place = distinct_places(matches.weight, position, self._radius_m, _MAX_PLACES)
        prior = prior_of_places(matches, place)
        _, first = np.unique(place, return_index=True)
        first = first[place[first] >= 0]
        inliers = np.full(len(place), np.nan)
        for number, match in enumerate(first.tolist(), 1):
            inliers[match] = self._verifier.inliers(query, int(matches.rows[match]))
            log_odds = self._log_odds(query, inliers[first], position[first])
            posterior = posterior_of_places(prior, log_odds)[1:]
            late = number >= _MIN_PLACES and time.monotonic() >= finish
            if late or (
                number >= _MIN_SURE and posterior[:number].max() >= settings.min_confidence
            ):
                break
        best = int(posterior.argmax())
        distance = np.linalg.norm(position - position[first[best]], axis=1)
        near = np.flatnonzero(distance <= APART_RADII * self._radius_m)
        fitted = self._verifier.constants
        peak = compare_near(
            matches.weight[near],
            position[near],
            inliers[near],
            lambda match: self._verifier.inliers(query, int(matches.rows[near[match]])),
            fitted.slope,
            fitted.chance_inliers,
            finish,
        )
        share = matches.weight[near] * np.exp(peak.log_odds)
        share /= share.sum()
        verified = weigh_places(matches.weight, place, prior, log_odds)
        weight = verified.weight.copy()
        weight[near] = weight[near].sum() * share
        # What speaks for being beyond the end of the map speaks for no other place of it.
        here = self._beyond.log_odds(query, int(matches.rows[near[share.argmax()]]))
        right, wrong = verified.confidence * math.exp(here), 1.0 - verified.confidence
        return VerifiedPlaces(weight, right / max(right + wrong, 1e-300))

    def _log_odds(self, query: Query, inliers: FloatArray, position: FloatArray) -> FloatArray:
        verifier = self._verifier
        apart_m, detail = APART_RADII * self._radius_m, verifier.detail(query)
        compared = Compared(inliers, position, apart_m, verifier.look_alikes, detail)
        return image_log_odds(compared, verifier.constants)


def prior_of_places(matches: WeightedMatches, place: IntArray) -> FloatArray:
    """Return the probability [m + 1] of all else and of each place before any is compared.

    place: [k] of the matches, -1 is all else, which also is what is off the map. Other places are
    less probable than place 0 as they weigh less, and all together than that the map has the right
    one.
    """
    shares = np.bincount(place + 1, matches.weight, place.max() + 2)
    prior: FloatArray = matches.confidence * shares / max(shares[1], 1e-300)
    others, room = prior[2:].sum(), max(0.0, matches.presence - matches.confidence)
    prior[2:] *= min(1.0, room / max(others, 1e-300))
    prior[0] = max(0.0, 1.0 - prior[1:].sum())
    return prior


def weigh_places(
    weight: FloatArray, place: IntArray, prior: FloatArray, log_odds: FloatArray
) -> VerifiedPlaces:
    """Apply Bayes' rule to the matches [k] of one image (see `prior_of_places`)."""
    owner = place + 1
    shares = np.bincount(owner, weight, len(prior))
    posterior = posterior_of_places(prior, log_odds)
    spread = posterior / np.maximum(shares, 1e-300)
    # What was not compared ranks no better for all of that looking different.
    # That nothing of the map may be right says nothing for it.
    last = len(prior) - 1
    unweighed = prior[last] / max(shares[last], 1e-300) * posterior[0] / max(prior[0], 1e-300)
    spread[0] = min(spread[0], unweighed * np.exp(min(0.0, float(log_odds.max()))))
    return VerifiedPlaces(weight * spread[owner], float(posterior[1:].max()))
