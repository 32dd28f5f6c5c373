"""Read a rosbag2 (sqlite3 or mcap, any ROS 2 distribution) without ROS: images, poses, records."""

from __future__ import annotations

import collections
import dataclasses
import functools
import itertools
import logging
import math
from collections.abc import Collection, Container, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from progeo_core.bags.messages import (
    DAMAGED_MESSAGE,
    IMAGE_TYPES,
    POSE_FRAMES,
    TRANSFORMS,
    Header,
    read_header,
    read_image,
    read_position,
)
from progeo_core.bags.opening import open_bag
from progeo_core.bags.transforms import PoseFrames, transform_track
from progeo_core.errors import DataError, ImageError
from progeo_core.images.codec import Image
from progeo_core.images.prefetch import prefetch
from progeo_core.poses.camera_pose import yaw_of
from progeo_core.poses.pose_track import MAX_POSE_GAP_S, PoseTrack
from progeo_core.poses.stamp_units import NANOSECONDS, StampUnit, unit_of_stamps
from progeo_core.records.records import Records

_log = logging.getLogger(__name__)
_FRAMES = PoseFrames()
# Messages that show in which unit the stamps of a topic are.
_SHOWN = 100


@dataclasses.dataclass(frozen=True)
class TopicInfo:
    """Message type of a topic (several joined by commas) and its number of messages."""

    type: str
    count: int


class RawMessage(NamedTuple):
    """One message as recorded: serialised (CDR), with the time (ns) the recorder got it."""

    topic: str
    received_ns: int
    data: bytes


class BagImage(NamedTuple):
    """One image, or why it cannot be used, with its times (ns) and camera (its frame_id).

    An image without a stamp has the time it was received as its stamp.
    """

    stamp_ns: int
    received_ns: int
    image: Image | ImageError
    camera: str


class BagRecords(NamedTuple):
    """Images that have a pose, which images of their topic these are [n], and the others.

    unplaced: the name of every image without a pose, and why it has none.
    """

    records: Records
    rows: NDArray[np.int64]
    unplaced: tuple[str, ...]


class Bag:
    """One bag: a folder with metadata.yaml, or a single .mcap or .db3 file.

    Raises `DataError` for a bag that is missing, empty, damaged or of ROS 1, for a topic that is
    absent or of another kind, and where reading meets damage. Types that are not asked for need
    not be known. Use it as a context manager, from one thread.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._units: dict[str, StampUnit] = {}
        self._reader = open_bag(path)
        self.topics: Mapping[str, TopicInfo] = MappingProxyType(_topics(self._reader))
        if not any(info.count for info in self.topics.values()):
            self.close()
            raise DataError(f"{path}: the bag is empty (no messages); record it again")

    def __enter__(self) -> Bag:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the bag's files."""
        self._reader.close()

    def raw_messages(self, topics: Collection[str]) -> Iterator[RawMessage]:
        """Yield the messages of some topics as recorded, in the order they were received."""
        every_type = {info.type for info in self.topics.values()}
        for topic in topics:
            self._require(topic, every_type, "messages")
        return self._messages(topics)

    def images(self, topic: str, rows: Container[int] | None = None) -> Iterator[BagImage]:
        """Yield the images of a topic in order, decoded ahead by threads in bounded memory.

        `rows` chooses among them by their number, 0 for the first; the others are not decoded.
        """
        self._require(topic, IMAGE_TYPES, "images")
        decode = functools.partial(
            _decode, message_type=self.topics[topic].type, unit=self._unit(topic)
        )
        messages = enumerate(self._messages([topic]))
        return prefetch(decode, (one for row, one in messages if rows is None or row in rows))

    def stamps(self, topic: str) -> NDArray[np.int64]:
        """Return the stamp (ns) of every image of a topic, in the order of `images`."""
        headers = self._image_headers(topic)
        return np.array([header.stamp_ns for header in headers], np.int64)

    def pose_track(
        self,
        topic: str,
        frames: PoseFrames = _FRAMES,
        max_gap_s: float = MAX_POSE_GAP_S,
    ) -> PoseTrack:
        """Read every pose of a topic: PoseStamped, PoseWithCovarianceStamped, Odometry, NavSatFix.

        Of a topic of transforms, `/tf`, it is the poses of one frame in another, known within a
        time (s); see `transform_track`. A pose without a stamp has the time it was received as its
        stamp, as images have. Poses without a position are dropped and counted by reason;
        `DataError` if none is left.
        """
        self._require(topic, (*POSE_FRAMES, TRANSFORMS), "poses")
        if self.topics[topic].type == TRANSFORMS:
            return transform_track(self, topic, frames, max_gap_s)
        kind = self.topics[topic].type
        readings, received = [], []
        for message in self._messages([topic]):
            readings.append(read_position(message.data, kind))
            received.append(message.received_ns)
        stamps = self._stamps(topic, [one.stamp_ns for one in readings], received, "poses")
        usable = [row for row, reading in enumerate(readings) if not reading.problem]
        track = PoseTrack.from_poses(
            [stamps[row] for row in usable],
            [readings[row].position for row in usable],
            POSE_FRAMES[kind],
            [readings[row].yaw_rad for row in usable],
            [readings[row].orientation for row in usable],
        )
        reasons = collections.Counter(one.problem for one in readings if one.problem)
        reasons["a stamp twice"] = track.dropped
        why = ", ".join(f"{count} {reason}" for reason, count in reasons.items() if count)
        if not len(track):
            raise DataError(
                f"{self.path}: none of the {len(readings)} poses of '{topic}' has a position"
                f" ({why}); record them again, or use another topic"
            )
        if why:
            _log.warning(
                "%s: %d of %d poses of '%s' dropped: %s",
                self.path,
                reasons.total(),
                len(readings),
                topic,
                why,
            )
        return dataclasses.replace(track, dropped=reasons.total())

    def records(
        self,
        image_topic: str,
        pose_topic: str,
        max_pose_gap_s: float = MAX_POSE_GAP_S,
        camera_pose: bool = False,
        frames: PoseFrames = _FRAMES,
    ) -> BagRecords:
        """Pair images with poses interpolated to their stamps; images without a pose are left out.

        max_pose_gap_s: an image needs a pose on either side within this time (s).
        camera_pose: the poses are those of the camera's optical frame (x right, y down, z forward),
            not of the robot's base; then records have orientations, and yaw is that of the axis.
            Of transforms, it is that of the frame_id of the first image.
        frames: of tf, where the poses are transforms.
        Images are named "TOPIC@STAMP", cameras by frame_id, the traverse by the bag. Raises
        `DataError` if no image has a pose.
        """
        headers = self._image_headers(image_topic)
        stamps = np.array([header.stamp_ns for header in headers], np.int64)
        if camera_pose and headers:
            frames = frames._replace(base=headers[0].frame_id)
        track = self.pose_track(pose_topic, frames, max_pose_gap_s)
        position, yaw_rad = track.at(stamps, max_pose_gap_s)
        orientation = np.full((len(stamps), 4), np.nan)
        if camera_pose:
            self.require_orientation(track, pose_topic)
            orientation = track.orientation_at(stamps, max_pose_gap_s)
            yaw_rad = yaw_of(orientation)
        placed = np.isfinite(position[:, :2]).all(axis=1)
        rows = np.flatnonzero(placed)
        lacking = f"no pose of '{pose_topic}' within {max_pose_gap_s:g} s on either side"
        if not rows.size:
            raise DataError(
                f"{self.path}: no image of '{image_topic}' is near in time to poses of"
                f" '{pose_topic}': images {span_text(stamps)}, poses {span_text(track.stamp_ns)}"
                + (_advice(track, max_pose_gap_s) or "; both must be stamped by the same clock")
            )
        unplaced = tuple(f"{image_topic}@{stamp}: {lacking}" for stamp in stamps[~placed])
        if unplaced:
            _log.warning(
                "%s: %d of %d images left out: %s%s",
                self.path,
                len(unplaced),
                len(headers),
                lacking,
                _advice(track, max_pose_gap_s),
            )
        records = Records(
            images=tuple(Path(f"{image_topic}@{stamps[row]}") for row in rows),
            position=position[rows],
            frame=track.frame,
            yaw_rad=yaw_rad[rows],
            stamp_ns=stamps[rows],
            camera=tuple(headers[row].frame_id for row in rows),
            traverse=(self.path.name,) * rows.size,
            orientation=orientation[rows],
        )
        return BagRecords(records, rows, unplaced)

    def require_orientation(self, track: PoseTrack, topic: str) -> None:
        """Raise `DataError` where the poses of a topic cannot be those of a camera."""
        if not np.isfinite(track.orientation).any():
            raise DataError(
                f"{self.path}: the poses of '{topic}' have no orientation, so that they are not"
                " those of a camera: leave --camera-poses out, or name another topic"
            )

    def _image_headers(self, topic: str) -> list[Header]:
        """Return the headers of all images, every one of them with a stamp."""
        self._require(topic, IMAGE_TYPES, "images")
        headers, received = [], []
        for message in self._messages([topic]):
            headers.append(_header(message))
            received.append(message.received_ns)
        stamps = self._stamps(topic, [one.stamp_ns for one in headers], received, "images")
        return [one._replace(stamp_ns=stamp) for one, stamp in zip(headers, stamps, strict=True)]

    def _stamps(
        self, topic: str, stamps: Sequence[int], received_ns: Sequence[int], what: str
    ) -> list[int]:
        """Return the stamps (ns) of the messages of a topic; say where they had to be made."""
        unit = self._unit(topic)
        if unit is not NANOSECONDS:
            _log.warning(
                "%s: the stamps of '%s' are %s, not nanoseconds, by their size; taken as such",
                self.path,
                topic,
                unit.name,
            )
        unstamped = sum(stamp <= 0 for stamp in stamps)
        if unstamped:
            _log.warning(
                "%s: %d of %d %s of '%s' have no stamp; the time they were received is used",
                self.path,
                unstamped,
                len(stamps),
                what,
                topic,
            )
        return [
            _stamp_ns(stamp, received, unit)
            for stamp, received in zip(stamps, received_ns, strict=True)
        ]

    def _unit(self, topic: str) -> StampUnit:
        """Return in which unit the stamps of a topic are, as its first messages show it."""
        if topic not in self._units:
            first = itertools.islice(self._messages([topic]), _SHOWN)
            self._units[topic] = unit_of_stamps([_header(message).stamp_ns for message in first])
        return self._units[topic]

    def _require(self, topic: str, types: Collection[str], what: str) -> None:
        """Raise `DataError` unless `topic` has messages of one of `types`."""
        info = self.topics.get(topic)
        if info is not None and info.type in types and info.count:
            return
        usable = [name for name, other in self.topics.items() if other.type in types]
        known = f"topics with {what}: {', '.join(usable) or 'none'}"
        if info is None:
            raise DataError(f"{self.path}: there is no topic '{topic}'; {known}")
        if info.type not in types:
            raise DataError(f"{self.path}: '{topic}' is {info.type}, not {what}; {known}")
        raise DataError(f"{self.path}: '{topic}' has no messages; {known}")

    def _messages(self, topics: Collection[str]) -> Iterator[RawMessage]:
        connections = [known for known in self._reader.connections if known.topic in topics]
        if not connections:  # which the reader would take for all of them
            return
        read = 0
        try:
            for connection, received_ns, data in self._reader.messages(connections):
                read += 1
                yield RawMessage(connection.topic, received_ns, data)
        except Exception as error:  # whatever the readers of sqlite3, mcap and zstd make of damage
            raise DataError(
                f"{self.path}: the bag is damaged after {read} messages ({error});"
                " use a copy, or `ros2 bag reindex`"
            ) from error
        expected = sum(self.topics[topic].count for topic in topics)
        if not read:
            raise DataError(
                f"{self.path}: {', '.join(topics)} should have {expected} messages but none is"
                " there; metadata.yaml does not belong to this bag: run `ros2 bag reindex`"
            )
        if read < expected:
            _log.warning("%s: only %d of %d messages are there", self.path, read, expected)


def _topics(reader: Any) -> dict[str, TopicInfo]:
    types: dict[str, set[str]] = {}
    counts: dict[str, int] = {}
    for connection in reader.connections:
        types.setdefault(connection.topic, set()).add(connection.msgtype)
        counts[connection.topic] = counts.get(connection.topic, 0) + connection.msgcount
    return {
        topic: TopicInfo(", ".join(sorted(types[topic])), counts[topic]) for topic in sorted(types)
    }


def _header(message: RawMessage) -> Header:
    try:
        return read_header(message.data)
    except DAMAGED_MESSAGE:
        return Header(0, "")


def _stamp_ns(stamp: int, received_ns: int, unit: StampUnit) -> int:
    return stamp * unit.nanoseconds if stamp > 0 else received_ns


def _decode(message: RawMessage, message_type: str, unit: StampUnit) -> BagImage:
    header = _header(message)
    stamp_ns = _stamp_ns(header.stamp_ns, message.received_ns, unit)
    image: Image | ImageError
    try:
        image = read_image(message.data, message_type, f"{message.topic}@{stamp_ns}")
    except ImageError as error:
        image = error
    return BagImage(stamp_ns, message.received_ns, image, header.frame_id)


def _advice(track: PoseTrack, max_gap_s: float) -> str:
    """Return what to do where poses come too seldom, "" where that is not the reason."""
    steps_s = np.diff(track.stamp_ns) / 1e9
    if not steps_s.size or np.median(steps_s) <= max_gap_s:
        return ""
    enough_s = math.ceil(11.0 * np.percentile(steps_s, 90)) / 10.0
    return f"; these poses come every {np.median(steps_s):.2g} s: --max-pose-gap {enough_s:g}"


def span_text(stamps_ns: NDArray[np.int64]) -> str:
    """Return from when to when stamps [n] (ns) are, in seconds."""
    return f"from {stamps_ns.min() / 1e9:.3f} to {stamps_ns.max() / 1e9:.3f} s"
