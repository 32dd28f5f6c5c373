"""Images with known positions, wherever they are kept: a records.csv, a folder, a bag."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from progeo_core.errors import ImageError
from progeo_core.images import Image, load_images
from progeo_core.records import Heading, Records, read_image_folder, read_records

IntArray = NDArray[np.int64]


class ImageSource(Protocol):
    """Give the records of some images, and the images themselves in the same order."""

    @property
    def records(self) -> Records:
        """Return one row per image."""
        ...

    def images(self) -> Iterator[Image | ImageError]:
        """Yield one image, or why it cannot be used, per row of the records."""
        ...

    def select(self, rows: IntArray) -> ImageSource:
        """Return the source of some rows only, which ascend."""
        ...


@dataclasses.dataclass(frozen=True, eq=False)
class FileSource:
    """Read images from files."""

    records: Records

    def images(self) -> Iterator[Image | ImageError]:
        """Yield the images in the order of the records, decoded ahead by threads."""
        return load_images(self.records.images)

    def select(self, rows: IntArray) -> FileSource:
        """Return the source of some rows only."""
        return FileSource(self.records.select(rows))


@dataclasses.dataclass(frozen=True, eq=False)
class BagSource:
    """Read images from one topic of a bag; rows: which images of the topic the records are."""

    path: Path
    topic: str
    records: Records
    rows: IntArray

    def images(self) -> Iterator[Image | ImageError]:
        """Yield the images in the order of the records, decoded ahead by threads."""
        from progeo_core.bag import Bag

        wanted = set(self.rows.tolist())
        with Bag(self.path) as bag:
            for row, bag_image in enumerate(bag.images(self.topic)):
                if row in wanted:
                    yield bag_image.image

    def select(self, rows: IntArray) -> BagSource:
        """Return the source of some rows only."""
        return BagSource(self.path, self.topic, self.records.select(rows), self.rows[rows])


def source_of_records(csv: Path) -> ImageSource:
    """Read a records.csv; `DataError` names file, line, column and mend."""
    return FileSource(read_records(csv))


def source_of_folder(folder: Path, heading: Heading = Heading.UNKNOWN) -> ImageSource:
    """Read a folder of images with '@' names or of photos with EXIF GPS."""
    return FileSource(read_image_folder(folder, heading))


def source_of_bag(path: Path, image_topic: str, pose_topic: str) -> ImageSource:
    """Read a bag, poses interpolated to the images' stamps; images without a pose are left out."""
    from progeo_core.bag import Bag

    with Bag(path) as bag:
        records, rows = bag.records(image_topic, pose_topic)
    return BagSource(path, image_topic, records, rows)
