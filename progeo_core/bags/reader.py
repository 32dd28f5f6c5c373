"""Read a rosbag2 (sqlite3 or mcap, any ROS 2 distribution) without ROS: images, poses, records."""

from __future__ import annotations

import dataclasses
import functools
import logging
from collections.abc import Collection, Container, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from rosbags.rosbag2 import Reader

from progeo_core.bags.messages import (
    DAMAGED_MESSAGE,
    IMAGE_TYPES,
    POSE_FRAMES,
    Header,
    read_header,
    read_image,
    read_pose,
)
from progeo_core.errors import DataError, ImageError
from progeo_core.images.codec import Image
from progeo_core.poses.pose_track import PoseTrack
from progeo_core.prefetch import prefetch
from progeo_core.records.records import Records

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class TopicInfo:
    """Hold the message type of a topic (several joined by commas) and its number of messages."""

    type: str
    count: int


class RawMessage(NamedTuple):
    """Hold one message as recorded: serialised (CDR), with the time (ns) the recorder got it."""

    topic: str
    received_ns: int
    data: bytes


class BagImage(NamedTuple):
    """Hold one image, or why it cannot be used, and its times (ns) and camera (its frame_id).

    An image without a stamp has the time it was received as its stamp.
    """

    stamp_ns: int
    received_ns: int
    image: Image | ImageError
    camera: str


class BagRecords(NamedTuple):
    """Hold the images that have a pose, which images of their topic these are [n], and the others.

    unplaced: the name of every image without a pose, and why it has none.
    """

    records: Records
    rows: NDArray[np.int64]
    unplaced: tuple[str, ...]


class Bag:
    """Read one bag: a folder with metadata.yaml, or a single .mcap or .db3 file.

    Raises `DataError` for a bag that is missing, empty, damaged or of ROS 1, for a topic that is
    absent or of another kind, and where reading meets damage. Types that are not asked for need
    not be known. Use it as a context manager, from one thread.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._reader = _open_reader(path)
        self.topics: Mapping[str, TopicInfo] = MappingProxyType(_topics(self._reader))
        if not any(info.count for info in self.topics.values()):
            self.close()
            raise DataError(f"{path}: the bag is empty (no messages); record it again")

    def __enter__(self) -> Bag:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
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
        decode = functools.partial(_decode, message_type=self.topics[topic].type)
        messages = enumerate(self._messages([topic]))
        return prefetch(decode, (one for row, one in messages if rows is None or row in rows))

    def stamps(self, topic: str) -> NDArray[np.int64]:
        """Return the stamp (ns) of every image of a topic, in the order of `images`."""
        headers = self._image_headers(topic)
        return np.array([header.stamp_ns for header in headers], np.int64)

    def pose_track(self, topic: str) -> PoseTrack:
        """Read every pose of a topic: PoseStamped, PoseWithCovarianceStamped, Odometry, NavSatFix.

        Poses without stamp, position or fix are dropped and counted; `DataError` if none is left.
        """
        self._require(topic, POSE_FRAMES, "poses")
        kind = self.topics[topic].type
        poses = [read_pose(message.data, kind) for message in self._messages([topic])]
        track = PoseTrack.from_poses(
            [pose.stamp_ns for pose in poses],
            [pose.position for pose in poses],
            POSE_FRAMES[kind],
            [pose.yaw_rad for pose in poses],
        )
        if not len(track):
            raise DataError(
                f"{self.path}: none of the {track.dropped} poses of '{topic}' has a stamp and a"
                " position; record them again, or use another topic"
            )
        if track.dropped:
            _log.warning(
                "%s: %d poses of '%s' dropped: no stamp, no position, or a stamp twice",
                self.path,
                track.dropped,
                topic,
            )
        return track

    def records(self, image_topic: str, pose_topic: str) -> BagRecords:
        """Pair images with poses interpolated to their stamps; images without a pose are left out.

        Images are named "TOPIC@STAMP", cameras by frame_id, the traverse by the bag. Raises
        `DataError` if no image has a pose.
        """
        headers = self._image_headers(image_topic)
        stamps = np.array([header.stamp_ns for header in headers], np.int64)
        track = self.pose_track(pose_topic)
        position, yaw_rad = track.at(stamps)
        placed = np.isfinite(position[:, :2]).all(axis=1)
        rows = np.flatnonzero(placed)
        if not rows.size:
            raise DataError(
                f"{self.path}: no image of '{image_topic}' has a pose of '{pose_topic}' near in"
                f" time: images {_span(stamps)}, poses {_span(track.stamp_ns)};"
                " both must be stamped by the same clock"
            )
        unplaced = tuple(
            f"{image_topic}@{stamp}: no pose of '{pose_topic}' near in time"
            for stamp in stamps[~placed]
        )
        if unplaced:
            _log.warning("%s: %d images without a pose left out", self.path, len(unplaced))
        records = Records(
            images=tuple(Path(f"{image_topic}@{stamps[row]}") for row in rows),
            position=position[rows],
            frame=track.frame,
            yaw_rad=yaw_rad[rows],
            stamp_ns=stamps[rows],
            camera=tuple(headers[row].frame_id for row in rows),
            traverse=(self.path.name,) * rows.size,
        )
        return BagRecords(records, rows, unplaced)

    def _image_headers(self, topic: str) -> list[Header]:
        self._require(topic, IMAGE_TYPES, "images")
        headers, unstamped = [], 0
        for message in self._messages([topic]):
            header = _header(message)
            unstamped += header.stamp_ns <= 0
            headers.append(_stamped(header, message.received_ns))
        if unstamped:
            _log.warning(
                "%s: %d of %d images of '%s' have no stamp; the time they were received is used",
                self.path,
                unstamped,
                len(headers),
                topic,
            )
        return headers

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


def _open_reader(path: Path) -> Any:
    if not path.exists():
        raise DataError(f"{path}: there is no such bag; give its folder, or its .mcap or .db3 file")
    if path.suffix == ".bag" and path.is_file():
        raise DataError(
            f"{path}: this is a ROS 1 bag; convert it: rosbags-convert --src {path} --dst FOLDER"
        )
    if path.is_dir() and not (path / "metadata.yaml").is_file():
        raise DataError(
            f"{path}: not a rosbag2 (no metadata.yaml); if the recorder was killed, run"
            f" `ros2 bag reindex {path}`, or give the .mcap or .db3 file inside"
        )
    try:
        reader = Reader(path)
        reader.open()
    except Exception as error:  # damage shows itself as almost any exception of the reader
        raise DataError(
            f"{path}: the bag cannot be read ({error}); use a copy, or `ros2 bag reindex`"
        ) from error
    return reader


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


def _stamped(header: Header, received_ns: int) -> Header:
    return header if header.stamp_ns > 0 else header._replace(stamp_ns=received_ns)


def _decode(message: RawMessage, message_type: str) -> BagImage:
    header = _stamped(_header(message), message.received_ns)
    image: Image | ImageError
    try:
        image = read_image(message.data, message_type, f"{message.topic}@{header.stamp_ns}")
    except ImageError as error:
        image = error
    return BagImage(header.stamp_ns, message.received_ns, image, header.frame_id)


def _span(stamps_ns: NDArray[np.int64]) -> str:
    return f"from {stamps_ns.min() / 1e9:.3f} to {stamps_ns.max() / 1e9:.3f} s"
