"""The answers to a drive as a rosbag2, on the topics on which the node would publish them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from progeo_core.bags.messages import (
    FIX,
    POSE_WITH_COVARIANCE,
    Header,
    estimate_message,
    fix_message,
)
from progeo_core.bags.writer import FIX_FRAME, MAP_FRAME, Storage, add_topic, new_bag

ANSWER_TOPIC = "/progeo_localizer/pose"
ANSWER_FIX_TOPIC = "/progeo_localizer/fix"


class StampedEstimate(NamedTuple):
    """Accepted answer: stamp (ns), position (m), quaternion x y z w, covariance [6, 6].

    geodetic: latitude, longitude (degrees), altitude (m), None where the map has no datum.
    """

    stamp_ns: int
    position: NDArray[np.float64]
    orientation: NDArray[np.float64]
    covariance: NDArray[np.float64]
    geodetic: tuple[float, float, float] | None


def write_answers_bag(
    path: Path, estimates: Iterable[StampedEstimate], storage: Storage = "sqlite3"
) -> int:
    """Write estimates as a new rosbag2 folder, whole or not at all; return their number.

    Raises `UsageError` where `path` exists, and `DataError` where nothing can be written.
    """
    count = 0
    with new_bag(path, storage) as writer:
        poses = add_topic(writer, ANSWER_TOPIC, POSE_WITH_COVARIANCE)
        fixes = None
        for one in estimates:
            header = Header(one.stamp_ns, MAP_FRAME)
            message = estimate_message(header, one.position, one.orientation, one.covariance)
            writer.write(poses, one.stamp_ns, message)
            if one.geodetic is not None:
                fixes = fixes or add_topic(writer, ANSWER_FIX_TOPIC, FIX)
                fix = fix_message(Header(one.stamp_ns, FIX_FRAME), np.array(one.geodetic))
                writer.write(fixes, one.stamp_ns, fix)
            count += 1
    return count
