"""Position embeddings of vision transformers, for images of other sizes than in training."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F


class Grid(NamedTuple):
    """Patches of an image, counted."""

    rows: int
    columns: int


def square_grid(embedding: Tensor) -> Grid:
    """Return the grid of a position embedding [1 + rows·rows, C]."""
    side = math.isqrt(len(embedding) - 1)
    return Grid(side, side)


def interpolate_position_embedding(embedding: Tensor, grid: Grid) -> Tensor:
    """Resample [1 + rows·rows, C] to [1 + grid.rows·grid.columns, C], as the authors do.

    Bicubic with aligned corners; the class token's row (the first) is left alone.
    """
    old = square_grid(embedding)
    if old == grid:
        return embedding
    class_token, patches = embedding[:1], embedding[1:]
    patch_map = patches.T.reshape(1, -1, *old)
    resampled = F.interpolate(patch_map, size=tuple(grid), mode="bicubic", align_corners=True)
    return torch.cat([class_token, resampled.flatten(2)[0].T])
