"""The answers to a drive as a rosbag2, on the topics on which the node would publish them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from rosbags.rosbag2 import StoragePlugin, Writer

from progeo_core.bags.messages import (
    FIX,
    POSE_WITH_COVARIANCE,
    Header,
    estimate_message,
    fix_message,
)
from progeo_core.bags.writer import FIX_FRAME, MAP_FRAME, METADATA_VERSION, Storage, add_topic
from progeo_core.errors import DataError, UsageError

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
    if path.exists():
        raise UsageError(f"{path} exists, and a bag is never overwritten: choose another path")
    count = 0
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
            unfinished = Path(folder) / path.name
            plugin = StoragePlugin[storage.upper()]
            with Writer(unfinished, version=METADATA_VERSION, storage_plugin=plugin) as writer:
                poses = add_topic(writer, ANSWER_TOPIC, POSE_WITH_COVARIANCE)
                fixes = None
                for one in estimates:
                    header = Header(one.stamp_ns, MAP_FRAME)
                    message = estimate_message(
                        header, one.position, one.orientation, one.covariance
                    )
                    writer.write(poses, one.stamp_ns, message)
                    if one.geodetic is not None:
                        fixes = fixes or add_topic(writer, ANSWER_FIX_TOPIC, FIX)
                        fix = fix_message(Header(one.stamp_ns, FIX_FRAME), np.array(one.geodetic))
                        writer.write(fixes, one.stamp_ns, fix)
                    count += 1
            unfinished.rename(path)
    except OSError as error:
        raise DataError(f"{path}: the bag cannot be written ({error.strerror})") from error
    return count
