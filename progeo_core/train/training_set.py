"""The images of a training folder, sorted into classes and groups."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from progeo_core.dataset.place_classes import PlaceClassSettings, PlaceGroup, group_places
from progeo_core.errors import DataError
from progeo_core.records.cosplace_names import read_names
from progeo_core.records.image_list import ImageList, list_images


class TrainingSet(NamedTuple):
    """Images of a folder and the groups of classes that they form."""

    images: ImageList
    groups: tuple[PlaceGroup, ...]

    def __str__(self) -> str:
        """Return one line with the counts."""
        used = sum(len(group.images) for group in self.groups)
        classes = sum(len(group) for group in self.groups)
        return (
            f"{len(self.images)} images; {used} of them in {classes} classes of"
            f" {len(self.groups)} groups"
        )


def read_training_set(folder: Path, settings: PlaceClassSettings) -> TrainingSet:
    """Read the '@' names under `folder` and sort them into groups.

    Raises `DataError` for names without the fields, and where no class is large enough or groups
    are too few (with the setting to change).
    """
    images = list_images(folder)
    columns = read_names(images.names())
    try:
        groups = group_places(
            columns.east_m, columns.north_m, columns.heading_deg, columns.signed_zone(), settings
        )
    except DataError as error:
        raise DataError(f"{folder}: {error}") from error
    return TrainingSet(images, groups)
