"""What one image says about each place of a map, in terms of that map, that image and that drive.

How alike a right and a wrong place look differs between models, sites and lights, so similarity is
no evidence by itself. It is measured twice: in units of how alike far places of the map look among
each other, and against how alike this very image looks to the map as a whole.
"""

from __future__ import annotations

from progeo_core.geo import FloatArray
from progeo_core.localization.fitted_constants import SequenceConstants

# Images that look equally alike to all of the map (a blank wall, a map of one spot).
_MIN_SPREAD = 1e-3


def place_log_odds(
    similarity: FloatArray, usual: FloatArray, far_spread: float, fitted: SequenceConstants
) -> FloatArray:
    """Return the log odds of places [k] against being off the map.

    similarity: [k] of the image and the places. usual: [m] of the image and a sample of the map.
    far_spread: standard deviation of the similarity of far places of the map.
    """
    contrast = (similarity - usual.mean()) / max(float(usual.std()), _MIN_SPREAD)
    odds: FloatArray = (
        fitted.level_slope * similarity / far_spread
        + fitted.contrast_slope * contrast
        - fitted.even_evidence
    )
    return odds
