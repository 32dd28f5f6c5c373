"""Bring what local features say of a single image's places into its weights and its confidence."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from progeo_core.geo import FloatArray


class CheckedPlaces(NamedTuple):
    """Hold the weights [k] of an image's matches, and how probable the best place is."""

    weight: FloatArray
    confidence: float


def weigh_places(
    confidence: float, weight: FloatArray, place: NDArray[np.int64], log_odds: FloatArray
) -> CheckedPlaces:
    """Apply Bayes' rule to the places of one image.

    confidence: that place 0 is right. weight: [k] of the matches. place: [k] number of each one's
    place, -1 not checked. log_odds: [m] per place. Before the check, other places are less probable
    than place 0 as they weigh less; what is left is for all that was not checked, or off the map.
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
    return CheckedPlaces(weight * spread[owner], float(posterior[1:].max()))
