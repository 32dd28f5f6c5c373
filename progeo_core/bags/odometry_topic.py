"""Odometry of one topic of a bag, at the stamps of the images of another."""

from __future__ import annotations

import logging

import numpy as np
from numpy.typing import NDArray

from progeo_core.bags.reader import Bag, span_text
from progeo_core.errors import DataError
from progeo_core.geo import FloatArray
from progeo_core.poses.pose_track import MAX_POSE_GAP_S

_log = logging.getLogger(__name__)


def odometry_at(bag: Bag, topic: str, stamps_ns: NDArray[np.int64]) -> FloatArray:
    """Return x, y (m), yaw (rad) [n, 3] of a topic, interpolated to the stamps (ns) of images.

    Poses in any fixed frame will do. Rows are NaN, and counted in a warning, where the topic has
    none within a second on either side. Raises `DataError` for a topic that is absent, of another
    kind, or without directions, as fixes are, and where it is near in time to no image.
    """
    track = bag.pose_track(topic)
    if not np.isfinite(track.yaw_rad).any():
        raise DataError(
            f"{bag.path}: the poses of '{topic}' ({bag.topics[topic].type}) have no direction, so"
            " that they are no odometry: name a topic of nav_msgs/msg/Odometry"
        )
    poses = track.at(stamps_ns)
    odometry = np.column_stack([poses.position[:, :2], poses.yaw_rad])
    odometry[~np.isfinite(odometry).all(axis=1)] = np.nan
    missing = int(np.isnan(odometry[:, 0]).sum())
    lacking = f"have no odometry of '{topic}' within {MAX_POSE_GAP_S:g} s on either side"
    if missing == len(stamps_ns):
        raise DataError(
            f"{bag.path}: all {missing} images {lacking}: images {span_text(stamps_ns)}, odometry"
            f" {span_text(track.stamp_ns)}; both must be stamped by the same clock"
        )
    if missing:
        _log.warning("%s: %d of %d images %s", bag.path, missing, len(stamps_ns), lacking)
    return odometry
