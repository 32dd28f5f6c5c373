"""Drop places of a map that tell nothing new, so that a map of many drives stays bounded."""

from __future__ import annotations

import collections
import dataclasses
import itertools
from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from progeo_core.descriptors.standardization import Standardization, sample_of
from progeo_core.geo import FloatArray
from progeo_core.map.place_map import Float16Array, IdArray, PlaceMap, PlaceTable
from progeo_core.progress import Advance, no_progress
from progeo_core.settings import Settings, setting

# Camera and grid cell; places within one cell's side of each other are at most one cell apart.
_Cell: TypeAlias = tuple[str, int, int, int]


@dataclasses.dataclass(frozen=True)
class PruneSettings(Settings):
    """Limits within which a place is redundant."""

    distance_m: float = setting(
        1.0, "places closer than this (m) may stand for each other", low=0.001
    )
    similarity: float = setting(
        0.6,
        "similarity from which close places of one camera show the same: 1 for equal images, 0 for"
        " images as different as any two of the map",
        low=-1.0,
        high=1.0,
    )
    places_per_cell: int = setting(
        0, "largest number of places of one camera in a cube of distance_m; 0 for no limit", low=0
    )


class PruneReport(NamedTuple):
    """Numbers of places that a map had, and that were dropped for each reason."""

    before: int
    redundant: int
    over_bound: int

    @property
    def after(self) -> int:
        """Return how many places are left."""
        return self.before - self.redundant - self.over_bound

    def to_lines(self) -> dict[str, object]:
        """Return names and values for a table."""
        return {
            "places before": self.before,
            "redundant": self.redundant,
            "over the bound": self.over_bound,
            "places left": self.after,
        }


class DroppedRows(NamedTuple):
    """Rows of places that others stand for, and of those beyond the bound of a cell."""

    redundant: list[int]
    surplus: list[int]


def prune_map(
    place_map: PlaceMap,
    settings: PruneSettings = PruneSettings(),
    *,
    advance: Advance = no_progress,
) -> PruneReport:
    """Drop places that a newer place of the same camera can stand for, in one transaction.

    A place is redundant when one that stays lies closer than `distance_m` and looks similar; what
    looks different there (light, season, direction) stays. Where a cell still holds more than
    `places_per_cell`, those that differ most stay. `advance` counts places compared.

    Descriptors are compared after standardization by the map, as raw cosines of the places of one
    site crowd together at a level that depends on the model. In a map of a single spot only equal
    images are similar.
    """
    table = place_map.places()
    dropped = rows_to_drop(table, place_map.descriptors, settings, advance=advance)
    if dropped.redundant or dropped.surplus:
        place_map.delete(table.ids[dropped.redundant + dropped.surplus])
        place_map.compact()
    return PruneReport(len(table.ids), len(dropped.redundant), len(dropped.surplus))


def rows_to_drop(
    table: PlaceTable,
    descriptors_of: Callable[[IdArray], Float16Array],
    settings: PruneSettings,
    *,
    advance: Advance = no_progress,
) -> DroppedRows:
    """Return the rows of places, oldest first, that newer ones stand for; see `prune_map`.

    descriptors_of: returns the descriptors [n, D] of place ids [n].
    """
    if not len(table.ids):
        return DroppedRows([], [])
    descriptors = _StandardizedDescriptors(descriptors_of, table.ids)
    kept: dict[_Cell, list[int]] = collections.defaultdict(list)
    redundant: list[int] = []
    # Newest first: the latest look of a place is the best guess of its next one.
    for row in reversed(range(len(table.ids))):
        cell = _cell(table, row, settings.distance_m)
        if _is_redundant(descriptors, table, row, _near_rows(kept, cell), settings):
            redundant.append(row)
        else:
            kept[cell].append(row)
        advance(1)
    surplus = [
        row for rows in kept.values() for row in _surplus(descriptors, table, rows, settings)
    ]
    return DroppedRows(redundant, surplus)


class _StandardizedDescriptors:
    """Unit descriptors of the places of a map, n ≥ 1, standardized by the map."""

    def __init__(self, descriptors_of: Callable[[IdArray], Float16Array], ids: IdArray) -> None:
        self._descriptors_of = descriptors_of
        self._standardization = Standardization.of_descriptors(self._units(sample_of(ids)))

    def of(self, ids: IdArray) -> NDArray[np.float32]:
        """Return the standardized descriptors [n, D] of places."""
        return self._standardization.standardize(self._units(ids))

    def _units(self, ids: IdArray) -> NDArray[np.float32]:
        descriptors = self._descriptors_of(ids).astype(np.float32)
        norm = np.linalg.norm(descriptors, axis=1, keepdims=True)
        return np.asarray(descriptors / np.maximum(norm, np.finfo(np.float32).tiny))


def _similarity(one: NDArray[np.float32], others: NDArray[np.float32]) -> FloatArray:
    """Return the similarity [n] of descriptors [n, D] to one [D]: 1 if equal, near 0 if unrelated.

    Standardized values have a variance of 1, so squared differences of unrelated ones average 2.
    """
    difference: FloatArray = np.mean(np.square(others - one), axis=1, dtype=np.float64)
    return 1.0 - difference / 2.0


def _cell(table: PlaceTable, row: int, side_m: float) -> _Cell:
    x, y, z = np.floor(table.position[row] / side_m).astype(np.int64).tolist()
    return table.camera[row], x, y, z


def _near_rows(kept: dict[_Cell, list[int]], cell: _Cell) -> list[int]:
    camera, x, y, z = cell
    steps = itertools.product((-1, 0, 1), repeat=3)
    cells: Iterator[_Cell] = ((camera, x + dx, y + dy, z + dz) for dx, dy, dz in steps)
    return [row for near in cells for row in kept.get(near, ())]


def _is_redundant(
    descriptors: _StandardizedDescriptors,
    table: PlaceTable,
    row: int,
    candidates: list[int],
    settings: PruneSettings,
) -> bool:
    distance = np.linalg.norm(table.position[candidates] - table.position[row], axis=1)
    near = np.asarray(candidates, np.int64)[distance < settings.distance_m]
    if not near.size:
        return False
    compared = descriptors.of(table.ids[[row, *near]])
    return bool(np.max(_similarity(compared[0], compared[1:])) >= settings.similarity)


def _surplus(
    descriptors: _StandardizedDescriptors,
    table: PlaceTable,
    rows: list[int],
    settings: PruneSettings,
) -> list[int]:
    """Return the rows of one cell beyond the bound: all but the newest and what differs most."""
    if not settings.places_per_cell or len(rows) <= settings.places_per_cell:
        return []
    compared = descriptors.of(table.ids[rows])
    chosen = [0]
    # Farthest-point selection: always take the place least like those taken already.
    similarity = _similarity(compared[0], compared)
    while len(chosen) < settings.places_per_cell:
        similarity[chosen] = np.inf
        farthest = int(np.argmin(similarity))
        chosen.append(farthest)
        similarity = np.maximum(similarity, _similarity(compared[farthest], compared))
    return [row for place, row in enumerate(rows) if place not in chosen]
