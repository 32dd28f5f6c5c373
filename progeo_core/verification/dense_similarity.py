"""How alike two pictures are where they show the same, from features of all their cells."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from progeo_core.geo import FloatArray

# Features [GRID * GRID, D] of unit length, one per cell of a picture, row by row.
Cells = NDArray[np.float32]
# Cells along each side of a picture.
GRID = 16

# How far (cells) what one picture shows may lie from where the other shows it.
_REACH = 4

_ROW, _COLUMN = np.divmod(np.arange(GRID * GRID), GRID)
_NEAR = (np.abs(_ROW[:, None] - _ROW) <= _REACH) & (np.abs(_COLUMN[:, None] - _COLUMN) <= _REACH)

# Odds that a place is right, by logistic regression over corridors, a loop and a campus, in and off
# the map: a similarity, and how far it is above that of the most similar place elsewhere (as the
# ratio test of Lowe 2004 asks). Frames of one traverse err alike, so similarity alone counts little.
_EVEN_LIKENESS, _LIKENESS_SLOPE = 0.64, 14.0
_EVEN_MARGIN, _MARGIN_SLOPE = 0.012, 100.0


def dense_similarity(first: Cells, second: Cells) -> float:
    """Return the mean cosine of each cell and the most alike one near it in the other picture."""
    cosine = np.where(_NEAR, first @ second.T, -1.0)
    return float(cosine.max(axis=0).mean() + cosine.max(axis=1).mean()) / 2.0


def similarity_log_odds(alike: FloatArray, position: FloatArray, apart_m: float) -> FloatArray:
    """Return the log odds that an image shows each of some places [k].

    alike: [k] similarity to the image. position: [k, 3] (m). apart_m: places farther from
    each other do not show the same.
    """
    distance = np.linalg.norm(position[:, None] - position[None], axis=-1)
    elsewhere = np.where(distance > apart_m, alike[None], -np.inf).max(axis=1, initial=-np.inf)
    # Without another place the margin says nothing.
    margin = np.where(np.isfinite(elsewhere), alike - elsewhere, _EVEN_MARGIN)
    odds: FloatArray = _LIKENESS_SLOPE * (alike - _EVEN_LIKENESS)
    return odds + _MARGIN_SLOPE * (margin - _EVEN_MARGIN)
