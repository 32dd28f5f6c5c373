"""Plan of a data set: the folder of every image, or why it is left out."""

from __future__ import annotations

import dataclasses
import enum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from progeo_core.dataset.areas import Area, cell_numbers, split_by_area
from progeo_core.dataset.passes import (
    moved_enough,
    number_passes,
    number_visits,
    split_roles,
    time_order,
)
from progeo_core.errors import DataError, UsageError
from progeo_core.records.records import Records
from progeo_core.settings import Settings, setting

IntArray = NDArray[np.int64]


@dataclasses.dataclass(frozen=True)
class DatasetSettings(Settings):
    """Split of the images into training, validation and test."""

    cell_m: float = setting(
        25.0,
        "Side (m) of the ground cells that areas are made of; images of two areas are farther"
        " apart than this. At least the distance within which a match counts as correct",
        low=0.1,
        high=1e5,
    )
    val_fraction: float = setting(
        0.15, "Share of the images for val/; 0 makes none", low=0.0, high=0.9
    )
    test_fraction: float = setting(
        0.15, "Share of the images for test/; 0 makes none", low=0.0, high=0.9
    )
    min_distance_m: float = setting(
        0.5,
        "Keep an image only where the camera moved this far (m) since the last one, or turned"
        " by 15°; 0 keeps all",
        low=0.0,
        high=1e5,
    )
    seed: int = setting(0, "Seed of the choice of areas", low=0)

    def __post_init__(self) -> None:
        """Raise `UsageError` for a value out of range, or where nothing is left for training."""
        super().__post_init__()
        if self.val_fraction + self.test_fraction >= 1.0:
            raise UsageError(
                f"val_fraction {self.val_fraction:g} and test_fraction {self.test_fraction:g}"
                " leave nothing to train on: their sum must be below 1"
            )


class Fate(enum.Enum):
    """Folder that takes an image, or why it is left out."""

    TRAIN = "train"
    VAL_DATABASE = "val/database"
    VAL_QUERIES = "val/queries"
    TEST_DATABASE = "test/database"
    TEST_QUERIES = "test/queries"
    STILL = "the camera had hardly moved since the last image"
    BORDER = "between two areas"
    UNSEEN = "a query from where the database has no image"
    UNPLACED = "no position"
    UNREADABLE = "unreadable"


FOLDERS = (
    Fate.TRAIN,
    Fate.VAL_DATABASE,
    Fate.VAL_QUERIES,
    Fate.TEST_DATABASE,
    Fate.TEST_QUERIES,
)
_HELD_OUT = {
    Area.VALIDATION: ("val", Fate.VAL_DATABASE, Fate.VAL_QUERIES),
    Area.TEST: ("test", Fate.TEST_DATABASE, Fate.TEST_QUERIES),
}


class Plan(NamedTuple):
    """Fate of every image, and whether queries are of separate passes, by split."""

    fates: tuple[Fate, ...]
    by_pass: dict[str, bool]

    def rows_of(self, fate: Fate) -> IntArray:
        """Return the rows that share a fate."""
        return np.flatnonzero([one is fate for one in self.fates])


def plan_dataset(records: Records, settings: DatasetSettings) -> Plan:
    """Plan the folders for images with known positions (LOCAL records).

    Areas split the images that moved enough; within validation and test, database and queries are
    of different passes where the place was passed more than once. Equal arguments give equal plans.
    Raises `DataError` where the site is too small for its cells.
    """
    passes = number_passes(records)
    moved = moved_enough(records, passes, settings.min_distance_m)
    rows = np.flatnonzero(moved)
    fractions = {Area.TEST: settings.test_fraction, Area.VALIDATION: settings.val_fraction}
    area = np.full(len(records), Area.BORDER, np.int8)
    area[rows] = split_by_area(
        records.position[rows], passes[rows], settings.cell_m, fractions, settings.seed
    )
    fates = np.full(len(records), Fate.STILL, np.object_)
    fates[moved] = Fate.BORDER
    fates[area == Area.TRAIN] = Fate.TRAIN
    by_pass: dict[str, bool] = {}
    for name, (folder, database, queries) in _HELD_OUT.items():
        if fractions[name]:
            inside = moved & (area == name)
            roles, by_pass[folder] = _held_out(records, passes, moved, inside, settings.cell_m)
            fates[inside] = np.array([Fate.UNSEEN, database, queries])[roles[inside]]
    plan = Plan(tuple(fates.tolist()), by_pass)
    _require_every_folder(plan, records, settings)
    return plan


def _held_out(
    records: Records,
    passes: IntArray,
    moved: NDArray[np.bool_],
    inside: NDArray[np.bool_],
    cell_m: float,
) -> tuple[IntArray, bool]:
    """Return 1 for database, 2 for queries, 0 for neither [n], and whether passes separate them."""
    visits = np.zeros(len(records), np.int64)
    kept = np.flatnonzero(moved)
    visits[kept] = number_visits(records.select(kept), passes[kept], inside[kept])
    order = time_order(records)
    rows = order[inside[order]]
    roles = np.zeros(len(records), np.int64)
    if not rows.size:
        return roles, False
    shared = split_roles(cell_numbers(records.position[rows], cell_m), visits[rows])
    roles[rows] = shared.database + 2 * shared.queries
    return roles, shared.by_pass


def _require_every_folder(plan: Plan, records: Records, settings: DatasetSettings) -> None:
    wanted = [Fate.TRAIN]
    if settings.val_fraction:
        wanted += [Fate.VAL_DATABASE, Fate.VAL_QUERIES]
    if settings.test_fraction:
        wanted += [Fate.TEST_DATABASE, Fate.TEST_QUERIES]
    empty = [fate.value for fate in wanted if fate not in plan.fates]
    if not empty:
        return
    east, north = np.ptp(records.position[:, :2], axis=0)
    raise DataError(
        f"{len(records)} images over {east:.0f} m x {north:.0f} m are too few for cells of"
        f" {settings.cell_m:g} m: nothing is left for {', '.join(empty)}; give a smaller cell, or"
        " a val_fraction or test_fraction of 0"
    )
