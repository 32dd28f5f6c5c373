"""Split a site by area, so that no place of one split is seen in another."""

from __future__ import annotations

import enum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from progeo_core.geo import FloatArray

IntArray = NDArray[np.int64]

# Areas that are tried for each split; the one that costs the fewest images is taken.
_TRIALS = 16


class Area(enum.IntEnum):
    """Use of the images of a cell; those of a border cell are left out."""

    TRAIN = 0
    VALIDATION = 1
    TEST = 2
    BORDER = 3


class _Cells(NamedTuple):
    """Cells of the ground plane that have images.

    number: [c, 2] along both axes, unique. images: [c] how many each has. revisited: [c] whether
    more than one pass saw it.
    """

    number: IntArray
    images: IntArray
    revisited: NDArray[np.bool_]


class _Patch(NamedTuple):
    """Cells [c] that an area takes, those around it, and what it costs in images."""

    inside: NDArray[np.bool_]
    border: NDArray[np.bool_]
    cost: float


def split_by_area(
    position: FloatArray, passes: IntArray, cell_m: float, fractions: dict[Area, float], seed: int
) -> NDArray[np.int8]:
    """Return the `Area` [n] of images at `position` [n, 2 or more] (metres); heights are ignored.

    An area is a patch of neighbouring square cells with about its fraction of the images; all
    other cells are for training. The cells around a patch are border, so images of two areas are
    more than `cell_m` apart. The patch is chosen from several random ones: it loses few images to
    its border, comes close to its fraction, and lies where more than one of the `passes` [n] has
    been. Equal arguments give equal areas.
    """
    cells, cell_of_image = _occupied(position, passes, cell_m)
    random = np.random.default_rng(seed)
    area = np.full(len(cells.images), Area.TRAIN, np.int8)
    for name, fraction in fractions.items():
        free = np.flatnonzero(area == Area.TRAIN)
        if not fraction or not free.size:
            continue
        starts = random.permutation(free)[:_TRIALS]
        wanted = fraction * len(position)
        patches = [_patch(cells, area == Area.TRAIN, start, wanted) for start in starts]
        best = min(patches, key=lambda patch: patch.cost)
        area[best.inside] = name
        area[best.border] = Area.BORDER
    return area[cell_of_image]


def cell_numbers(position: FloatArray, cell_m: float) -> IntArray:
    """Return the numbers [n, 2] of the square cells that positions [n, 2 or more] lie in."""
    return np.floor(position[:, :2] / cell_m).astype(np.int64)


def _occupied(position: FloatArray, passes: IntArray, cell_m: float) -> tuple[_Cells, IntArray]:
    """Return the cells that have images, and the cell [n] of every image."""
    number, cell, images = np.unique(
        cell_numbers(position, cell_m), axis=0, return_inverse=True, return_counts=True
    )
    cell = cell.reshape(-1)
    seen = np.unique(np.stack([cell, passes], axis=-1), axis=0)[:, 0]
    revisited = np.bincount(seen, minlength=len(number)) > 1
    return _Cells(number, images, revisited), cell


def _patch(cells: _Cells, free: NDArray[np.bool_], start: int, wanted: float) -> _Patch:
    """Return the patch of free cells nearest to a start that have as many images as wanted."""
    distance = np.linalg.norm(cells.number - cells.number[start], axis=1)
    order = np.argsort(np.where(free, distance, np.inf), kind="stable")[: int(free.sum())]
    held = np.cumsum(cells.images[order])
    count = 1 + int(np.argmin(np.abs(held - wanted)))
    inside = np.zeros(len(free), np.bool_)
    inside[order[:count]] = True
    border = free & ~inside & _touches(cells.number, cells.number[inside])
    once = cells.images[inside & ~cells.revisited].sum() if cells.revisited.any() else 0
    cost = cells.images[border].sum() + abs(held[count - 1] - wanted) + once
    return _Patch(inside, border, float(cost))


def _touches(number: IntArray, patch: IntArray) -> NDArray[np.bool_]:
    """Whether each cell [c] is one of a patch's [p] or shares a side or corner with one."""
    steps = np.stack(np.meshgrid([-1, 0, 1], [-1, 0, 1]), axis=-1).reshape(-1, 2)
    near = np.unique((patch[:, np.newaxis] + steps).reshape(-1, 2), axis=0)
    # Both sets have unique rows, so a row that appears twice in their sum is in both.
    _, inverse, count = np.unique(
        np.concatenate([near, number]), axis=0, return_inverse=True, return_counts=True
    )
    return np.asarray(count[inverse.reshape(-1)[len(near) :]] > 1)
