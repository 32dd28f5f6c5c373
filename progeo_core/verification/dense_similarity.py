"""Similarity of two images, from the features of all their cells."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from progeo_core.geo import FloatArray

# Features [GRID * GRID, D] of unit length, one per cell of an image, row by row.
Cells = NDArray[np.float32]
# Cells along each side of an image.
GRID = 16

# How far (cells) the same thing may lie apart in two images.
_REACH = 4

_ROW, _COLUMN = np.divmod(np.arange(GRID * GRID), GRID)
_NEAR = (np.abs(_ROW[:, None] - _ROW) <= _REACH) & (np.abs(_COLUMN[:, None] - _COLUMN) <= _REACH)

# Odds that a place is right, by logistic regression over corridors, a loop and a campus, in and off
# the map: a similarity, and its margin over the most similar place elsewhere (as in the ratio test
# of Lowe 2004). Images of one traverse share their errors, so similarity alone counts little.
_EVEN_SIMILARITY, _SIMILARITY_SLOPE = 0.64, 14.0
_EVEN_MARGIN, _MARGIN_SLOPE = 0.012, 100.0


def dense_similarity(first: Cells, second: Cells) -> float:
    """Return the mean cosine of each cell and the most similar cell near it in the other image."""
    cosine = np.where(_NEAR, first @ second.T, -1.0)
    return float(cosine.max(axis=0).mean() + cosine.max(axis=1).mean()) / 2.0


def similarity_log_odds(similarity: FloatArray, position: FloatArray, apart_m: float) -> FloatArray:
    """Return the log odds that an image shows each of some places [k].

    similarity: [k] of the image to each place. position: [k, 3] (m). apart_m: places farther from
    each other than this do not show the same.
    """
    distance = np.linalg.norm(position[:, None] - position[None], axis=-1)
    elsewhere = np.where(distance > apart_m, similarity[None], -np.inf).max(axis=1, initial=-np.inf)
    # Without another place there is no margin to judge by.
    margin = np.where(np.isfinite(elsewhere), similarity - elsewhere, _EVEN_MARGIN)
    odds: FloatArray = _SIMILARITY_SLOPE * (similarity - _EVEN_SIMILARITY)
    return odds + _MARGIN_SLOPE * (margin - _EVEN_MARGIN)
