"""Images with known positions, wherever they are kept: a records.csv, a folder, a bag."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from progeo_core.errors import ImageError
from progeo_core.images.codec import Image, load_images
from progeo_core.records.records import (
    Heading,
    Records,
    join_records,
    read_image_folder,
    read_records,
)

IntArray = NDArray[np.int64]


class ImageSource(Protocol):
    """Records of some images, and the images themselves in the same order."""

    @property
    def records(self) -> Records:
        """Return one row per image."""
        ...

    @property
    def unplaced(self) -> tuple[str, ...]:
        """Return why each image without a row has no known position."""
        ...

    def images(self, needed_side: int = 0) -> Iterator[Image | ImageError]:
        """Yield one image, or why it cannot be used, per row of the records.

        needed_side: pixels each way that suffice (see `decode_image`), 0 for all.
        """
        ...

    def select(self, rows: IntArray) -> ImageSource:
        """Return the source of some rows only, which ascend."""
        ...


@dataclasses.dataclass(frozen=True, eq=False)
class FileSource:
    """Image source that reads files."""

    records: Records
    unplaced: tuple[str, ...] = ()

    def images(self, needed_side: int = 0) -> Iterator[Image | ImageError]:
        """Yield the images in the order of the records, decoded ahead by threads."""
        return load_images(self.records.images, needed_side)

    def select(self, rows: IntArray) -> FileSource:
        """Return the source of some rows only."""
        return dataclasses.replace(self, records=self.records.select(rows))


@dataclasses.dataclass(frozen=True, eq=False)
class JoinedSource:
    """Several sources, one after another; all must have the same frame."""

    parts: tuple[ImageSource, ...]

    @functools.cached_property
    def records(self) -> Records:
        """Return the rows of all parts in their order."""
        return join_records([part.records for part in self.parts])

    @property
    def unplaced(self) -> tuple[str, ...]:
        """Return why each image without a row has no known position."""
        return tuple(why for part in self.parts for why in part.unplaced)

    def images(self, needed_side: int = 0) -> Iterator[Image | ImageError]:
        """Yield the images of all parts in their order."""
        for part in self.parts:
            yield from part.images(needed_side)

    def select(self, rows: IntArray) -> JoinedSource:
        """Return the source of some rows only, which ascend; parts without any are left out."""
        chosen: list[ImageSource] = []
        start = 0
        for part in self.parts:
            stop = start + len(part.records)
            own = rows[(rows >= start) & (rows < stop)] - start
            if own.size:
                chosen.append(part.select(own))
            start = stop
        return JoinedSource(tuple(chosen))


def source_of_records(csv: Path) -> ImageSource:
    """Read a records.csv; `DataError` names file, line, column and fix."""
    return FileSource(read_records(csv))


def source_of_folder(folder: Path, heading: Heading = Heading.UNKNOWN) -> ImageSource:
    """Read a folder of images with '@' names or of photos with EXIF GPS."""
    return FileSource(*read_image_folder(folder, heading))
