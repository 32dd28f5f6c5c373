"""Drop places of a map that tell nothing new, so that a map of many drives stays bounded."""

from __future__ import annotations

import collections
import dataclasses
import itertools
from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from progeo_core.descriptors.standardization import Standardization
from progeo_core.geo import FloatArray
from progeo_core.map.place_map import IdArray, PlaceMap, PlaceTable
from progeo_core.progress import Advance, no_progress
from progeo_core.settings import Settings, setting

# Places that the contrast of a map is measured on.
_SAMPLE = 2000

# Camera and grid cell; places within one cell's side of each other are at most one cell apart.
_Cell: TypeAlias = tuple[str, int, int, int]


@dataclasses.dataclass(frozen=True)
class PruneSettings(Settings):
    """Say which places are redundant."""

    distance_m: float = setting(
        1.0, "places closer than this (m) may stand for each other", low=0.001
    )
    similarity: float = setting(
        0.6,
        "likeness from which close places of one camera show the same: 1 for equal images, 0 for as"
        " different ones as any two of the map",
        low=-1.0,
        high=1.0,
    )
    places_per_cell: int = setting(
        0, "most places of one camera in a cube of distance_m; 0 for no bound", low=0
    )


class PruneReport(NamedTuple):
    """Say how many places a map had, and how many went for which reason."""

    before: int
    redundant: int
    over_bound: int

    @property
    def after(self) -> int:
        """Return how many places are left."""
        return self.before - self.redundant - self.over_bound


def prune_map(
    place_map: PlaceMap,
    settings: PruneSettings = PruneSettings(),
    *,
    advance: Advance = no_progress,
) -> PruneReport:
    """Drop places that a newer place of the same camera stands for, in one transaction.

    A place is redundant when one that stays lies closer than `distance_m` and looks alike; what
    looks different there (light, season, direction) stays. Where a cell still holds more than
    `places_per_cell`, those that differ most stay. `advance` counts places looked at.

    Likeness is in the contrast of the map, as raw cosines of the places of one site crowd together
    at a level of their model. In a map of a single spot only equal images are therefore alike.
    """
    table = place_map.places()
    if not len(table.ids):
        return PruneReport(0, 0, 0)
    looks = _Looks(place_map, table.ids)
    kept: dict[_Cell, list[int]] = collections.defaultdict(list)
    redundant: list[int] = []
    # Newest first: the latest look of a place is the best guess of its next one.
    for row in reversed(range(len(table.ids))):
        cell = _cell(table, row, settings.distance_m)
        if _is_redundant(looks, table, row, _near_rows(kept, cell), settings):
            redundant.append(row)
        else:
            kept[cell].append(row)
        advance(1)
    surplus = [row for rows in kept.values() for row in _surplus(looks, table, rows, settings)]
    if redundant or surplus:
        place_map.delete(table.ids[redundant + surplus])
        place_map.compact()
    return PruneReport(len(table.ids), len(redundant), len(surplus))


class _Looks:
    """Look up what the places of a map, n ≥ 1, look like in its contrast."""

    def __init__(self, place_map: PlaceMap, ids: IdArray) -> None:
        self._map = place_map
        sample = ids[:: -(-len(ids) // _SAMPLE)]
        self._contrast = Standardization.of_descriptors(self._units(sample))

    def of(self, ids: IdArray) -> NDArray[np.float32]:
        """Return views [n, D]."""
        return self._contrast.standardize(self._units(ids))

    def _units(self, ids: IdArray) -> NDArray[np.float32]:
        descriptors = self._map.descriptors(ids).astype(np.float32)
        norm = np.linalg.norm(descriptors, axis=1, keepdims=True)
        return np.asarray(descriptors / np.maximum(norm, np.finfo(np.float32).tiny))


def _likeness(view: NDArray[np.float32], others: NDArray[np.float32]) -> FloatArray:
    """Return how alike views [n, D] are to one [D]: 1 if equal, near 0 for unrelated ones.

    Values of views have a variance of 1, so squares of unrelated ones are 2 apart.
    """
    apart: FloatArray = np.mean(np.square(others - view), axis=1, dtype=np.float64)
    return 1.0 - apart / 2.0


def _cell(table: PlaceTable, row: int, side_m: float) -> _Cell:
    x, y, z = np.floor(table.position[row] / side_m).astype(np.int64).tolist()
    return table.camera[row], x, y, z


def _near_rows(kept: dict[_Cell, list[int]], cell: _Cell) -> list[int]:
    camera, x, y, z = cell
    steps = itertools.product((-1, 0, 1), repeat=3)
    cells: Iterator[_Cell] = ((camera, x + dx, y + dy, z + dz) for dx, dy, dz in steps)
    return [row for near in cells for row in kept.get(near, ())]


def _is_redundant(
    looks: _Looks, table: PlaceTable, row: int, candidates: list[int], settings: PruneSettings
) -> bool:
    distance = np.linalg.norm(table.position[candidates] - table.position[row], axis=1)
    near = np.asarray(candidates, np.int64)[distance < settings.distance_m]
    if not near.size:
        return False
    views = looks.of(table.ids[[row, *near]])
    return bool(np.max(_likeness(views[0], views[1:])) >= settings.similarity)


def _surplus(
    looks: _Looks, table: PlaceTable, rows: list[int], settings: PruneSettings
) -> list[int]:
    """Return the rows of one cell beyond the bound: all but the newest and what differs most."""
    if not settings.places_per_cell or len(rows) <= settings.places_per_cell:
        return []
    views = looks.of(table.ids[rows])
    chosen = [0]
    # Farthest-point selection: always take the place least like those taken already.
    likeness = _likeness(views[0], views)
    while len(chosen) < settings.places_per_cell:
        likeness[chosen] = np.inf
        farthest = int(np.argmin(likeness))
        chosen.append(farthest)
        likeness = np.maximum(likeness, _likeness(views[farthest], views))
    return [row for place, row in enumerate(rows) if place not in chosen]
