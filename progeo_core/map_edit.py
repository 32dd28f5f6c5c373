"""Look after maps: join several into one, and drop places that tell nothing new."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import itertools
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from progeo_core.errors import DataError, UsageError
from progeo_core.geo import Datum, FloatArray, enu_from_wgs84, wgs84_from_enu
from progeo_core.map_file import check_name, move_file
from progeo_core.place_map import IdArray, PlaceMap, Places, PlaceTable
from progeo_core.progress import Advance, no_progress
from progeo_core.settings import Settings, setting

_COPY_BLOCK = 1024

# Camera and grid cell; places within one cell's side of each other are at most one cell apart.
_Cell: TypeAlias = tuple[str, int, int, int]


class MergeReport(NamedTuple):
    """Say how many places the joined map has, and the datum its metres start from."""

    places: int
    datum: Datum | None


@dataclasses.dataclass(frozen=True)
class PruneSettings(Settings):
    """Say which places are redundant."""

    distance_m: float = setting(
        1.0, "places closer than this (m) may stand for each other", low=0.001
    )
    similarity: float = setting(
        0.95, "cosine from which close places of one camera show the same", low=-1.0, high=1.0
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


def merge_maps(
    sources: Sequence[Path], target: Path, *, advance: Advance = no_progress
) -> MergeReport:
    """Copy the places of several maps into a new one, in the order given.

    Maps of another datum than the first have positions and yaw re-expressed from the first one's.
    The new map appears whole or not at all. Raises `ModelMismatchError` for maps of different
    models, `UsageError` where only some have a datum, `DataError` where the target exists.
    """
    check_name(target)
    if not sources:
        raise UsageError("there is no map to merge: name one or more")
    with contextlib.ExitStack() as opened:
        maps = [opened.enter_context(PlaceMap.open(path)) for path in sources]
        _require_mergeable(maps)
        first = maps[0]
        if target.exists():
            raise DataError(f"{target} exists already: choose another name for the merged map")
        folder = Path(opened.enter_context(_scratch_folder(target)))
        with PlaceMap.create(folder / target.name, first.fingerprint, first.datum) as merged:
            for place_map in maps:
                _copy_places(place_map, merged, advance)
            report = MergeReport(len(merged), merged.datum)
        move_file(folder / target.name, target)
    return report


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
    """
    table = place_map.places()
    kept: dict[_Cell, list[int]] = collections.defaultdict(list)
    redundant: list[int] = []
    # Newest first: the latest look of a place is the best guess of its next one.
    for row in reversed(range(len(table.ids))):
        cell = _cell(table, row, settings.distance_m)
        if _is_redundant(place_map, table, row, _near_rows(kept, cell), settings):
            redundant.append(row)
        else:
            kept[cell].append(row)
        advance(1)
    surplus = [row for rows in kept.values() for row in _surplus(place_map, table, rows, settings)]
    if redundant or surplus:
        place_map.delete(table.ids[redundant + surplus])
        place_map.compact()
    return PruneReport(len(table.ids), len(redundant), len(surplus))


def _require_mergeable(maps: Sequence[PlaceMap]) -> None:
    first = maps[0]
    for other in maps[1:]:
        other.require_model(first.fingerprint)
        if (other.datum is None) != (first.datum is None):
            local, placed = (other, first) if other.datum is None else (first, other)
            raise UsageError(
                f"{local.path} has no datum, but {placed.path} has one: build the first again with"
                " --datum, or merge local maps only with each other"
            )


def _scratch_folder(target: Path) -> tempfile.TemporaryDirectory[str]:
    try:
        return tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}-")
    except OSError as error:
        raise DataError(f"{target}: the map cannot be written ({error.strerror})") from error


def _copy_places(source: PlaceMap, target: PlaceMap, advance: Advance) -> None:
    table = source.places()
    position, yaw = table.position, table.yaw_rad
    if source.datum is not None and target.datum is not None and source.datum != target.datum:
        position, yaw = _from_other_datum(position, yaw, source.datum, target.datum)
    for ids, descriptors in source.descriptor_blocks(_COPY_BLOCK):
        rows = table.poses.rows_of(ids)
        places = Places(
            position=position[rows],
            yaw_rad=yaw[rows],
            stamp_ns=table.stamp_ns[rows],
            camera=[table.camera[row] for row in rows],
            traverse=[table.traverse[row] for row in rows],
            image=[table.image[row] for row in rows],
            thumbnail=[source.thumbnail(place_id) for place_id in ids],
        )
        target.append(places, descriptors)
        advance(len(ids))


def _from_other_datum(
    position: FloatArray, yaw_rad: FloatArray, source: Datum, target: Datum
) -> tuple[FloatArray, FloatArray]:
    """Return positions [n, 3] and yaw [n] as seen from another datum, where east turns a little."""
    ahead = np.stack([np.cos(yaw_rad), np.sin(yaw_rad), np.zeros_like(yaw_rad)], axis=-1)
    moved = enu_from_wgs84(wgs84_from_enu(position, source), target)
    known = np.isfinite(yaw_rad)
    direction = np.full_like(moved, np.nan)
    tips = wgs84_from_enu(position[known] + ahead[known], source)
    direction[known] = enu_from_wgs84(tips, target) - moved[known]
    return moved, np.arctan2(direction[:, 1], direction[:, 0])


def _cell(table: PlaceTable, row: int, side_m: float) -> _Cell:
    x, y, z = np.floor(table.position[row] / side_m).astype(np.int64).tolist()
    return table.camera[row], x, y, z


def _near_rows(kept: dict[_Cell, list[int]], cell: _Cell) -> list[int]:
    camera, x, y, z = cell
    steps = itertools.product((-1, 0, 1), repeat=3)
    cells: Iterator[_Cell] = ((camera, x + dx, y + dy, z + dz) for dx, dy, dz in steps)
    return [row for near in cells for row in kept.get(near, ())]


def _is_redundant(
    place_map: PlaceMap,
    table: PlaceTable,
    row: int,
    candidates: list[int],
    settings: PruneSettings,
) -> bool:
    distance = np.linalg.norm(table.position[candidates] - table.position[row], axis=1)
    near = np.asarray(candidates, np.int64)[distance < settings.distance_m]
    if not near.size:
        return False
    own, *others = _unit_descriptors(place_map, table.ids[[row, *near]])
    return bool(np.max(np.stack(others) @ own) >= settings.similarity)


def _surplus(
    place_map: PlaceMap, table: PlaceTable, rows: list[int], settings: PruneSettings
) -> list[int]:
    """Return the rows of one cell beyond the bound: all but the newest and what differs most."""
    if not settings.places_per_cell or len(rows) <= settings.places_per_cell:
        return []
    descriptors = _unit_descriptors(place_map, table.ids[rows])
    chosen = [0]
    # Farthest-point selection: always take the place least like those taken already.
    likeness = descriptors @ descriptors[0]
    while len(chosen) < settings.places_per_cell:
        likeness[chosen] = np.inf
        farthest = int(np.argmin(likeness))
        chosen.append(farthest)
        likeness = np.maximum(likeness, descriptors @ descriptors[farthest])
    return [row for place, row in enumerate(rows) if place not in chosen]


def _unit_descriptors(place_map: PlaceMap, ids: IdArray) -> NDArray[np.float32]:
    descriptors = place_map.descriptors(ids).astype(np.float32)
    norm = np.linalg.norm(descriptors, axis=1, keepdims=True)
    return np.asarray(descriptors / np.maximum(norm, np.finfo(np.float32).tiny))
