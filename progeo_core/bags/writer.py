"""Write a rosbag2 from images and their positions, which `ros2 bag play` plays as it is."""

from __future__ import annotations

import contextlib
import functools
import logging
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from rosbags.interfaces import (
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag2 import StoragePlugin, Writer

from progeo_core.bags.messages import (
    CAMERA_INFO,
    COMPRESSED_IMAGE,
    FIX,
    POSE,
    RAW_IMAGE,
    Header,
    camera_info_message,
    camera_pose_message,
    compressed_image_message,
    depth_message,
    fix_message,
    image_message,
    pose_message,
    typestore,
)
from progeo_core.bags.recognition import require_new
from progeo_core.errors import DataError, ImageError, UsageError
from progeo_core.geo import Frame
from progeo_core.images.codec import decode_image, encode_jpeg, read_image
from progeo_core.images.depth import read_depth
from progeo_core.images.intrinsics import Intrinsics, info_topic
from progeo_core.images.prefetch import prefetch
from progeo_core.progress import Advance, no_progress
from progeo_core.records.records import Records

_log = logging.getLogger(__name__)

Storage = Literal["sqlite3", "mcap"]
Stamps = NDArray[np.int64]

IMAGE_TOPIC = "/camera/image_raw"
COMPRESSED_IMAGE_TOPIC = "/camera/image_raw/compressed"
DEPTH_TOPIC = "/camera/depth/image_raw"
POSE_TOPIC = "/ground_truth/pose"
CAMERA_POSE_TOPIC = "/ground_truth/camera_pose"
FIX_TOPIC = "/ground_truth/fix"
MAP_FRAME = "map"
FIX_FRAME = "gps"

# Every distribution from Humble on reads version 8. Version 9 (Jazzy) writes the QoS profiles in a
# form that Humble refuses as "bad conversion".
_METADATA_VERSION: Literal[8] = 8

_NS_PER_S = 1_000_000_000
_DEFAULT_RATE_HZ = 10.0
# Faster than any camera; stamps of whole nanoseconds still tell images apart.
_MAX_RATE_HZ = 1e6
# Where stamps are made up: 2001-09-09, so that equal records give equal bags, clearly not of today.
_EPOCH_NS = 1_000_000_000 * _NS_PER_S
_LAST_STAMP_NS = (2**31 - 1) * _NS_PER_S  # builtin_interfaces/Time has int32 seconds

_INFINITE = QosTime(9223372036, 854775807)  # RMW_DURATION_INFINITE
# A reliable publisher serves best-effort subscribers, too.
_RELIABLE = Qos(
    history=QosHistory.KEEP_LAST,
    depth=10,
    reliability=QosReliability.RELIABLE,
    durability=QosDurability.VOLATILE,
    deadline=_INFINITE,
    lifespan=_INFINITE,
    liveliness=QosLiveliness.AUTOMATIC,
    liveliness_lease_duration=_INFINITE,
    avoid_ros_namespace_conventions=False,
)

_KEPT_FORMATS = {b"\xff\xd8\xff": "jpeg", b"\x89PNG\r\n\x1a\n": "png"}


class BagSummary(NamedTuple):
    """Number of images and poses that a bag was given, and why images were skipped."""

    images: int
    poses: int
    skipped: tuple[str, ...]


class _Plan(NamedTuple):
    """Rows to write in order, their stamps (ns), where images and poses go, the calibration."""

    order: list[int]
    stamps: Stamps
    image_topic: str
    image_type: str
    pose_topic: str
    pose_type: str
    calibration: Intrinsics | None


class _Serialized(NamedTuple):
    """Messages of one row: its image, or why it cannot be used, and its depth."""

    image: memoryview | ImageError
    depth: memoryview | None


def write_bag(
    path: Path,
    records: Records,
    *,
    rate_hz: float | None = None,
    compressed: bool = False,
    storage: Storage = "sqlite3",
    image_topic: str | None = None,
    pose_topic: str | None = None,
    calibration: Intrinsics | None = None,
    advance: Advance = no_progress,
) -> BagSummary:
    """Write images and their positions as a new rosbag2 folder, whole or not at all.

    rate_hz: space the images evenly in the order of their rows; without it the records' stamps are
        kept, or 10 Hz from 2001-09-09 where they have none.
    compressed: CompressedImage on `COMPRESSED_IMAGE_TOPIC`, JPEG and PNG files byte for byte;
        otherwise Image (rgb8) on `IMAGE_TOPIC`. The camera's name is the frame_id.
    Positions: PoseStamped in `MAP_FRAME` on `POSE_TOPIC`, where an unknown yaw is the zero
        quaternion; for WGS84 NavSatFix in `FIX_FRAME` on `FIX_TOPIC`. NaN positions are left out.
    calibration: of the camera, written as `camera_info` beside the images.
    Depths go to `DEPTH_TOPIC` (32FC1), and in LOCAL frames orientations to `CAMERA_POSE_TOPIC`
        (poses of the camera's optical frame), where the records have any.
    advance: called with the number of images done since the last call.

    An image that cannot be used is skipped with its pose. Raises `UsageError` where `path` exists
    or stamps make no sense; `DataError` where nothing can be written or no image is usable.
    """
    require_new(path)
    stamps = _stamps(records, rate_hz)
    local = records.frame is Frame.LOCAL
    plan = _Plan(
        order=np.argsort(stamps, kind="stable").tolist(),
        stamps=stamps,
        image_topic=image_topic or (COMPRESSED_IMAGE_TOPIC if compressed else IMAGE_TOPIC),
        image_type=COMPRESSED_IMAGE if compressed else RAW_IMAGE,
        pose_topic=pose_topic or (POSE_TOPIC if local else FIX_TOPIC),
        pose_type=POSE if local else FIX,
        calibration=calibration,
    )
    with new_bag(path, storage) as writer:
        summary = _write_rows(writer, records, plan, advance)
        if not summary.images:
            reason = summary.skipped[0] if summary.skipped else "the records are empty"
            raise DataError(f"{path}: no bag without a usable image: {reason}")
    return summary


@contextlib.contextmanager
def new_bag(path: Path, storage: Storage) -> Iterator[Writer]:
    """Open the writer of a new rosbag2 folder, which appears when the block ends without an error.

    Raises `UsageError` where `path` exists, and `DataError` where it cannot be written.
    """
    require_new(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Beside the target, so that one rename finishes it; a kill leaves this folder only.
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
            # The final name already here: the bag's files are called after it.
            unfinished = Path(folder) / path.name
            plugin = StoragePlugin[storage.upper()]
            with Writer(unfinished, version=_METADATA_VERSION, storage_plugin=plugin) as writer:
                yield writer
            unfinished.rename(path)
    except (OSError, sqlite3.Error) as error:
        raise DataError(
            f"{path}: the bag cannot be written ({error}); check free space and permissions"
        ) from error


def _write_rows(writer: Any, records: Records, plan: _Plan, advance: Advance) -> BagSummary:
    images = add_topic(writer, plan.image_topic, plan.image_type)
    poses = add_topic(writer, plan.pose_topic, plan.pose_type)
    beside = _BesideImages(writer, records, plan)
    serialize = functools.partial(_serialize_row, records, plan)
    written = posed = 0
    skipped: list[str] = []
    for row, made in zip(plan.order, prefetch(serialize, plan.order), strict=True):
        advance(1)
        if isinstance(made.image, ImageError):
            skipped.append(str(made.image))
            continue
        stamp_ns = int(plan.stamps[row])
        # Before the image, so that who plays the bag has its calibration by then.
        beside.write(stamp_ns, row, made.depth)
        writer.write(images, stamp_ns, made.image)
        written += 1
        pose = _pose_or_none(records, stamp_ns, row)
        if pose is not None:
            writer.write(poses, stamp_ns, pose)
            posed += 1
    return BagSummary(written, posed, tuple(skipped))


class _BesideImages:
    """Topics that a bag has only where the records do: calibration, depth, pose of the camera."""

    def __init__(self, writer: Any, records: Records, plan: _Plan) -> None:
        self._writer, self._records, self._calibration = writer, records, plan.calibration
        local = records.frame is Frame.LOCAL
        self._infos = self._depths = self._poses = None
        if plan.calibration is not None:
            topic = info_topic(plan.image_topic.removesuffix("/compressed"))
            self._infos = add_topic(writer, topic, CAMERA_INFO)
        if any(records.depth):
            self._depths = add_topic(writer, DEPTH_TOPIC, RAW_IMAGE)
        if local and np.isfinite(records.orientation).any():
            self._poses = add_topic(writer, CAMERA_POSE_TOPIC, POSE)

    def write(self, stamp_ns: int, row: int, depth: memoryview | None) -> None:
        """Write what there is for the image of one row."""
        records, header = self._records, Header(stamp_ns, self._records.camera[row])
        if self._calibration is not None:
            self._writer.write(
                self._infos, stamp_ns, camera_info_message(header, self._calibration)
            )
        if depth is not None:
            self._writer.write(self._depths, stamp_ns, depth)
        position, orientation = records.position[row], records.orientation[row]
        if self._poses is not None and np.isfinite([*position, *orientation]).all():
            pose = camera_pose_message(Header(stamp_ns, MAP_FRAME), position, orientation)
            self._writer.write(self._poses, stamp_ns, pose)


def add_topic(writer: Any, topic: str, message_type: str) -> Any:
    """Add a topic of a reliable publisher to a bag that is being written."""
    return writer.add_connection(
        topic, message_type, typestore=typestore(), offered_qos_profiles=[_RELIABLE]
    )


def _stamps(records: Records, rate_hz: float | None) -> Stamps:
    """Return a stamp (ns) for every row: spaced by the rate, the records' own, or made up."""
    if rate_hz is not None and not 0.0 < rate_hz <= _MAX_RATE_HZ:
        raise UsageError(f"rate {rate_hz:g} Hz: must be above 0, and at most {_MAX_RATE_HZ:,.0f}")
    known = records.stamp_ns > 0
    if known.any() and not known.all():
        raise UsageError(
            f"{np.count_nonzero(~known)} of {len(records)} records have no stamp_ns: give it to"
            " all of them or to none"
        )
    if rate_hz is None and known.any():
        stamps = records.stamp_ns
    else:
        start = int(records.stamp_ns[0]) if known.any() else _EPOCH_NS
        period_ns = _NS_PER_S / (rate_hz or _DEFAULT_RATE_HZ)
        stamps = start + np.rint(np.arange(len(records)) * period_ns).astype(np.int64)
    if len(stamps) and stamps.max() > _LAST_STAMP_NS:
        raise UsageError(
            f"stamp_ns {stamps.max()}: ROS has no time after {_LAST_STAMP_NS} (the year 2038);"
            " stamps are nanoseconds"
        )
    return stamps


def _serialize_row(records: Records, plan: _Plan, row: int) -> _Serialized:
    """Serialise image and depth of one row; a depth that cannot be read is left out."""
    path, depth = records.depth[row], None
    if path is not None:
        header = Header(int(plan.stamps[row]), records.camera[row])
        try:
            depth = depth_message(header, read_depth(path))
        except ImageError as error:
            _log.warning("the bag has no depth there: %s", error)
    return _Serialized(_image_or_error(records, plan, row), depth)


def _image_or_error(records: Records, plan: _Plan, row: int) -> memoryview | ImageError:
    """Serialise the image of one row, or return why it cannot be used."""
    path, header = records.images[row], Header(int(plan.stamps[row]), records.camera[row])
    try:
        if plan.image_type == COMPRESSED_IMAGE:
            return compressed_image_message(header, *_compressed(path))
        return image_message(header, read_image(path))
    except ImageError as error:
        return error


def _compressed(path: Path) -> tuple[str, bytes]:
    """Return the format and bytes of an image file; raise `ImageError` for a bad one."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ImageError(f"{path}: the image cannot be read ({error.strerror})") from error
    # Decoded even where the bytes are kept: a damaged image is found here, not on the robot.
    image = decode_image(data, str(path))
    for start, name in _KEPT_FORMATS.items():
        if data.startswith(start):
            return name, data
    return "jpeg", encode_jpeg(image)


def _pose_or_none(records: Records, stamp_ns: int, row: int) -> memoryview | None:
    """Serialise the position of one row; None where it is unknown."""
    position = records.position[row]
    if records.frame is Frame.WGS84:
        known = np.isfinite(position[:2]).all()  # an altitude may be unknown
        return fix_message(Header(stamp_ns, FIX_FRAME), position) if known else None
    yaw_rad = float(records.yaw_rad[row])
    known = np.isfinite(position).all()
    return pose_message(Header(stamp_ns, MAP_FRAME), position, yaw_rad) if known else None
