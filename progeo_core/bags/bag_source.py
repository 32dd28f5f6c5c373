"""Images with known positions from one topic of a bag."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from progeo_core.bags.reader import Bag
from progeo_core.errors import ImageError
from progeo_core.images.codec import Image
from progeo_core.poses.pose_track import MAX_POSE_GAP_S
from progeo_core.records.image_source import ImageSource
from progeo_core.records.records import Records

IntArray = NDArray[np.int64]


@dataclasses.dataclass(frozen=True, eq=False)
class BagSource:
    """Images of one topic of a bag; rows: which images of the topic the records are."""

    path: Path
    topic: str
    records: Records
    rows: IntArray
    unplaced: tuple[str, ...] = ()

    def images(self, needed_side: int = 0) -> Iterator[Image | ImageError]:
        """Yield the images in the order of the records, decoded ahead by threads, all of them."""
        with Bag(self.path) as bag:
            for bag_image in bag.images(self.topic, set(self.rows.tolist())):
                yield bag_image.image

    def select(self, rows: IntArray) -> BagSource:
        """Return the source of some rows only."""
        return dataclasses.replace(self, records=self.records.select(rows), rows=self.rows[rows])


def source_of_bag(
    path: Path, image_topic: str, pose_topic: str, max_pose_gap_s: float = MAX_POSE_GAP_S
) -> ImageSource:
    """Read a bag, poses interpolated to the images' stamps; images without a pose are left out.

    max_pose_gap_s: an image needs a pose on either side within this time (s).
    """
    with Bag(path) as bag:
        records, rows, unplaced = bag.records(image_topic, pose_topic, max_pose_gap_s)
    return BagSource(path, image_topic, records, rows, unplaced)
