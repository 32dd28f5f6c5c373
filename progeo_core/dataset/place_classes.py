"""Cells of ground and heading → classes → groups (CosPlace, Berton et al. 2022, section 3.2)."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from progeo_core.errors import DataError
from progeo_core.geo import FloatArray
from progeo_core.settings import Settings, setting

IntArray = NDArray[np.int64]


@dataclasses.dataclass(frozen=True)
class PlaceClassSettings(Settings):
    """Size of classes and groups, under the names that the papers give them."""

    M: float = setting(10.0, "side of a square cell in metres", low=0.01, high=1e5)
    alpha: float = setting(30.0, "width of a heading sector in degrees", low=0.1, high=360.0)
    N: int = setting(5, "cells between two classes of one group", low=1, high=1000)
    L: int = setting(2, "sectors between two classes of one group", low=1, high=1000)
    groups_num: int = setting(8, "groups to train on", low=1, high=1_000_000)
    min_images_per_class: int = setting(10, "drop classes with fewer images", low=1, high=1_000_000)


@dataclasses.dataclass(frozen=True, eq=False)
class PlaceGroup:
    """Classes that are far enough apart to be distinguished, and their images.

    group_id: east, north and heading remainder.
    class_id: [c, 4] signed UTM zone, then east, north (metres) and heading (degrees) of the lower
        corner; ascending, so a class's label, its row here, is the same in every run.
    images: [n] rows of the data set, those of class 0 first.
    starts: [c + 1] where the images of each class start in `images`.
    """

    group_id: tuple[int, int, int]
    class_id: FloatArray
    images: IntArray
    starts: IntArray

    def __len__(self) -> int:
        """Return the number of classes."""
        return len(self.class_id)

    @property
    def labels(self) -> IntArray:
        """Return the class [n] of each entry of `images`."""
        return np.repeat(np.arange(len(self)), np.diff(self.starts))

    def images_of(self, label: int) -> IntArray:
        """Return the rows of the data set that belong to one class."""
        return self.images[self.starts[label] : self.starts[label + 1]]


class _Classes(NamedTuple):
    """All classes of a data set: keys [c, 4] ascending, sizes [c], and rows by class [n]."""

    key: IntArray
    size: IntArray
    rows: IntArray


def class_ids(
    east_m: ArrayLike, north_m: ArrayLike, heading_deg: ArrayLike, settings: PlaceClassSettings
) -> FloatArray:
    """Return (⌊east/M⌋·M, ⌊north/M⌋·M, ⌊heading/α⌋·α) [n, 3] in metres and degrees."""
    cells = np.stack(_cells(east_m, north_m, heading_deg, settings), axis=-1)
    return np.asarray(cells * np.array([settings.M, settings.M, settings.alpha]))


def group_ids(
    east_m: ArrayLike, north_m: ArrayLike, heading_deg: ArrayLike, settings: PlaceClassSettings
) -> IntArray:
    """Return the cell numbers modulo N, N and L [n, 3]: at most N·N·L groups."""
    cells = np.stack(_cells(east_m, north_m, heading_deg, settings), axis=-1)
    return np.mod(cells, [settings.N, settings.N, settings.L])


def group_places(
    east_m: ArrayLike,
    north_m: ArrayLike,
    heading_deg: ArrayLike,
    zone: ArrayLike,
    settings: PlaceClassSettings,
) -> tuple[PlaceGroup, ...]:
    """Return `groups_num` groups of classes, in the order in which their first images appear.

    All columns are [n]; `zone` is the UTM zone, negative in the southern hemisphere, 0 for local
    metres: images of different zones never share a class. With alpha = 360 headings are not needed.
    Raises `DataError` naming the setting to change where no class is large enough or groups are
    too few, and for positions or headings that are missing.
    """
    cells = _cells(east_m, north_m, heading_deg, settings)
    zones = np.broadcast_to(np.asarray(zone, np.int64), cells[0].shape)
    classes = _large_classes((zones, *cells), settings)
    remainder = np.mod(classes.key[:, 1:], [settings.N, settings.N, settings.L])
    # The rows of a class ascend, so its first one is that of the image that appears first.
    first_row = classes.rows[np.cumsum(classes.size) - classes.size]
    group_of_class, groups = _rank(remainder, first_row)
    if len(groups) < settings.groups_num:
        raise DataError(
            f"groups_num = {settings.groups_num}, but only {len(groups)} groups hold a class of"
            f" {settings.min_images_per_class} images: lower groups_num, or raise N or L for more"
        )
    return tuple(
        _select(classes, group_of_class == rank, groups[rank], settings)
        for rank in range(settings.groups_num)
    )


def _cells(
    east_m: ArrayLike, north_m: ArrayLike, heading_deg: ArrayLike, settings: PlaceClassSettings
) -> tuple[IntArray, IntArray, IntArray]:
    """Return cell numbers [n] along east, north and heading; heading 370° is heading 10°."""
    east = _known("position", east_m, "give every image UTM or local metres")
    north = _known("position", north_m, "give every image UTM or local metres")
    if settings.alpha >= 360.0:
        sector = np.zeros(east.shape, np.int64)
    else:
        fix = "give every image its heading, or set alpha to 360 to do without"
        heading = np.mod(_known("heading", heading_deg, fix), 360.0)
        sector = np.floor(heading / settings.alpha).astype(np.int64)
    return (
        np.floor(east / settings.M).astype(np.int64),
        np.floor(north / settings.M).astype(np.int64),
        sector,
    )


def _known(what: str, values: ArrayLike, fix: str) -> FloatArray:
    column = np.asarray(values, np.float64)
    missing = np.flatnonzero(~np.isfinite(column))
    if missing.size:
        raise DataError(
            f"{missing.size} of {column.size} images have no {what}, first: image {missing[0]};"
            f" {fix}"
        )
    return column


def _large_classes(keys: tuple[IntArray, ...], settings: PlaceClassSettings) -> _Classes:
    """Sort rows by key, cut where the key changes, and keep what is large enough."""
    # Sorting an order of the columns needs a third of the memory of np.unique over rows.
    rows = np.lexsort(keys[::-1])
    changes = np.zeros(len(rows), np.bool_)
    changes[:1] = True
    for key in keys:
        ordered = key[rows]
        changes[1:] |= ordered[1:] != ordered[:-1]
    starts = np.flatnonzero(changes)
    size = np.diff(starts, append=len(rows))
    large = size >= settings.min_images_per_class
    if not large.any():
        raise DataError(
            f"no class has {settings.min_images_per_class} images: the largest of {len(size)} has"
            f" {size.max(initial=0)}; lower min_images_per_class, or enlarge M"
            f" ({settings.M:g} m) or alpha ({settings.alpha:g}°)"
        )
    first = rows[starts[large]]
    key = np.stack([key[first] for key in keys], axis=-1)
    return _Classes(key, size[large], rows[np.repeat(large, size)])


def _rank(remainder: IntArray, first_row: IntArray) -> tuple[IntArray, list[tuple[int, int, int]]]:
    """Return which group each class belongs to [c], and the group ids by their first rows."""
    groups, rank = np.unique(remainder, axis=0, return_inverse=True)
    rank = rank.reshape(-1)
    first = np.full(len(groups), np.iinfo(np.int64).max)
    np.minimum.at(first, rank, first_row)
    order = np.argsort(first)
    ids = [(int(east), int(north), int(turn)) for east, north, turn in groups[order]]
    return np.argsort(order)[rank], ids


def _select(
    classes: _Classes,
    chosen: NDArray[np.bool_],
    group_id: tuple[int, int, int],
    settings: PlaceClassSettings,
) -> PlaceGroup:
    size = classes.size[chosen]
    return PlaceGroup(
        group_id=group_id,
        class_id=classes.key[chosen] * np.array([1.0, settings.M, settings.M, settings.alpha]),
        images=classes.rows[np.repeat(chosen, classes.size)],
        starts=np.concatenate([[0], np.cumsum(size)]),
    )
