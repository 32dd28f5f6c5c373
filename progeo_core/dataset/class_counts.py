"""Numbers of places, classes and groups in a training folder, and the settings that suit it."""

from __future__ import annotations

import dataclasses
import itertools
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from progeo_core.dataset.place_classes import PlaceClassSettings, class_ids, group_ids
from progeo_core.records.cosplace_names import NameColumns

IntArray = NDArray[np.int64]

_DEFAULTS = PlaceClassSettings()
# Classes in one batch of the paper; and so few that smaller classes are better than none.
_FULL_BATCH, _POOR_BATCH = 32, 8
# What a smaller site is tried with, the authors' values first.
_CELLS_M = (_DEFAULTS.M, 5.0, 2.0)
_BETWEEN = ((_DEFAULTS.N, _DEFAULTS.L), (3, 2), (2, 2), (2, 1), (1, 1))
_IMAGES = (_DEFAULTS.min_images_per_class, 5, 2)


class ClassCounts(NamedTuple):
    """Numbers of classes that settings give for a training folder.

    places: cells of ground with images. classes: those that are large enough, in all groups.
    groups: of these classes. smallest_group: classes in the smallest group that would be used.
    images: in these classes.
    """

    settings: PlaceClassSettings
    places: int
    classes: int
    groups: int
    smallest_group: int
    images: int

    def flags(self) -> str:
        """Return the flags of the training scripts that ask for these settings."""
        chosen = dataclasses.asdict(self.settings)
        usual = dataclasses.asdict(_DEFAULTS)
        flags = [f"--{name} {value:g}" for name, value in chosen.items() if value != usual[name]]
        if self.smallest_group < _FULL_BATCH:
            flags.append(f"--batch_size {self.smallest_group}")
        return " ".join(flags)


def count_classes(columns: NameColumns, settings: PlaceClassSettings) -> ClassCounts:
    """Count what `group_places` would use, without errors; alpha = 360 needs no headings."""
    # A full turn is one sector, whatever the heading and where there is none.
    whole = settings.alpha >= 360.0
    heading = np.zeros(len(columns.east_m)) if whole else columns.heading_deg
    where = (columns.east_m, columns.north_m, heading, settings)
    zone = columns.signed_zone().astype(np.float64)
    key = np.column_stack([zone, class_ids(*where)])
    places = len(np.unique(key[:, :3], axis=0))
    _, first, images = np.unique(key, axis=0, return_index=True, return_counts=True)
    large = images >= settings.min_images_per_class
    group = np.unique(group_ids(*where)[first[large]], axis=0, return_counts=True)[1]
    used = group[: settings.groups_num]
    return ClassCounts(
        settings=settings,
        places=places,
        classes=int(large.sum()),
        groups=len(group),
        smallest_group=int(used.min()) if used.size else 0,
        images=int(images[large].sum()),
    )


def suggest_classes(columns: NameColumns) -> ClassCounts:
    """Return the counts for the settings that suit a training folder best.

    These are the authors' where they fill batches; a smaller site gets smaller cells, and fewer of
    them between two classes of a group, until its batches are as full as possible. Where any
    heading is unknown, a class covers all headings.
    """
    counted: list[ClassCounts] = []
    for images in _IMAGES:
        for alpha, side, (cells, sectors) in itertools.product(_turns(columns), _CELLS_M, _BETWEEN):
            settings = PlaceClassSettings(side, alpha, cells, sectors, min_images_per_class=images)
            counted.append(_with_groups(columns, settings))
            if counted[-1].smallest_group >= _FULL_BATCH:
                return counted[-1]
        best = max(counted, key=lambda one: one.smallest_group)
        if best.smallest_group >= _POOR_BATCH:
            break
    return best


def _turns(columns: NameColumns) -> tuple[float, ...]:
    return (_DEFAULTS.alpha,) if np.isfinite(columns.heading_deg).all() else (360.0,)


def _with_groups(columns: NameColumns, settings: PlaceClassSettings) -> ClassCounts:
    """Count with as many groups as there are, up to the authors' number."""
    groups = count_classes(columns, settings).groups
    chosen = min(max(groups, 1), settings.groups_num)
    return count_classes(columns, dataclasses.replace(settings, groups_num=chosen))
