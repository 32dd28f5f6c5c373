"""Images with known positions from one topic of a bag."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from progeo_core.bags.camera_info import calibration_in
from progeo_core.bags.depth_topic import match_depths, read_depths
from progeo_core.bags.odometry_topic import odometry_at
from progeo_core.bags.reader import Bag
from progeo_core.bags.transforms import PoseFrames
from progeo_core.errors import ImageError
from progeo_core.images.codec import Image
from progeo_core.images.depth import FloatArray32
from progeo_core.images.intrinsics import Intrinsics
from progeo_core.poses.pose_track import MAX_POSE_GAP_S
from progeo_core.records.image_source import ImageSource, intrinsics_by_camera
from progeo_core.records.records import Records

IntArray = NDArray[np.int64]


@dataclasses.dataclass(frozen=True, eq=False)
class BagSource:
    """Images of one topic of a bag.

    rows: [n] which images of the topic the records are. calibration: of the camera, None unknown.
    depth_rows: [n] which depths of the depth topic are beside them, -1 where none is.
    """

    path: Path
    topic: str
    records: Records
    rows: IntArray
    unplaced: tuple[str, ...] = ()
    calibration: Intrinsics | None = None
    depth_topic: str | None = None
    depth_rows: IntArray = dataclasses.field(default_factory=lambda: np.zeros(0, np.int64))

    def images(self, needed_side: int = 0) -> Iterator[Image | ImageError]:
        """Yield the images in the order of the records, decoded ahead by threads, all of them."""
        with Bag(self.path) as bag:
            for bag_image in bag.images(self.topic, set(self.rows.tolist())):
                yield bag_image.image

    @property
    def intrinsics(self) -> Mapping[str, Intrinsics]:
        """Return the one calibration for every camera."""
        return intrinsics_by_camera(self.records, self.calibration)

    def depths(self) -> Iterator[FloatArray32 | None]:
        """Yield the depths in the order of the records, decoded ahead by threads."""
        if self.depth_topic is None:
            return iter([None] * len(self.records))
        return read_depths(self.path, self.depth_topic, self.depth_rows)

    def select(self, rows: IntArray) -> BagSource:
        """Return the source of some rows only."""
        return dataclasses.replace(
            self,
            records=self.records.select(rows),
            rows=self.rows[rows],
            depth_rows=self.depth_rows[rows] if self.depth_topic else self.depth_rows,
        )


def source_of_bag(
    path: Path,
    image_topic: str,
    pose_topic: str,
    max_pose_gap_s: float = MAX_POSE_GAP_S,
    *,
    depth_topic: str | None = None,
    calibration: Intrinsics | None = None,
    camera_pose: bool = False,
    frames: PoseFrames | None = None,
    odometry_topic: str | None = None,
) -> ImageSource:
    """Read a bag, poses interpolated to the images' stamps; images without a pose are left out.

    max_pose_gap_s: an image needs a pose on either side within this time (s).
    depth_topic: raw depth images registered to the images; the nearest within 0.05 s counts.
    calibration: of the camera; without it `camera_info` beside the image topic is read.
    camera_pose: the poses are those of the camera's optical frame, not of the robot's base.
    frames: of tf, where the pose topic is of transforms (`/tf`); default "map" and "base_link".
    odometry_topic: its poses at the images' stamps are kept in the records, see `odometry_at`.
    """
    with Bag(path) as bag:
        records, rows, unplaced = bag.records(
            image_topic, pose_topic, max_pose_gap_s, camera_pose, frames or PoseFrames()
        )
        if odometry_topic is not None:
            odometry = odometry_at(bag, odometry_topic, records.stamp_ns)
            records = dataclasses.replace(records, odometry=odometry)
        source = BagSource(
            path,
            image_topic,
            records,
            rows,
            unplaced,
            calibration or calibration_in(bag, image_topic),
        )
        if depth_topic is None:
            return source
        return dataclasses.replace(
            source,
            depth_topic=depth_topic,
            depth_rows=match_depths(bag, depth_topic, records.stamp_ns),
        )
