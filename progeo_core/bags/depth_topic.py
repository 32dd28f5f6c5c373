"""Depth images of one topic of a bag, beside the images of another."""

from __future__ import annotations

import collections
import logging
import sys
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from progeo_core.bags.messages import RAW_IMAGE, read_depth_image
from progeo_core.bags.reader import Bag, RawMessage
from progeo_core.errors import DataError, ImageError
from progeo_core.images.depth import FloatArray32
from progeo_core.images.depth_buffer import MAX_DEPTH_GAP_S
from progeo_core.images.prefetch import prefetch
from progeo_core.records.image_source import without_errors

_log = logging.getLogger(__name__)

IntArray = NDArray[np.int64]

# Depths that wait for their image, where the stamps are not in order; more would fill the memory.
_MAX_WAITING = 32


def match_depths(bag: Bag, topic: str, stamps_ns: IntArray) -> IntArray:
    """Return which depth of a topic is nearest in time to each stamp [n], -1 where none is near.

    Raises `DataError` for a topic that is not of raw depth images, and where none is near at all.
    """
    info = bag.topics.get(topic)
    if info is not None and info.type != RAW_IMAGE:
        raise DataError(
            f"{bag.path}: '{topic}' is {info.type}, not raw depth ({RAW_IMAGE} in 16UC1 or 32FC1);"
            " compressedDepth is not read: record the raw topic, or republish it:"
            " ros2 run image_transport republish"
        )
    depth_ns = bag.stamps(topic)
    order = np.argsort(depth_ns, kind="stable")
    ordered = depth_ns[order]
    after = np.searchsorted(ordered, stamps_ns).clip(1, max(1, len(ordered) - 1))
    pair = np.stack([after - 1, np.minimum(after, len(ordered) - 1)])
    gaps = np.abs(ordered[pair] - stamps_ns)
    nearest = np.argmin(gaps, axis=0), np.arange(len(stamps_ns))
    near = gaps[nearest] <= MAX_DEPTH_GAP_S * 1e9
    missing = len(stamps_ns) - np.count_nonzero(near)
    lacking = f"have no depth of '{topic}' within {MAX_DEPTH_GAP_S:g} s"
    if missing == len(stamps_ns):
        raise DataError(
            f"{bag.path}: all {missing} images {lacking}; both must be stamped by the same clock"
        )
    if missing:
        _log.warning("%s: %d of %d images %s", bag.path, missing, len(stamps_ns), lacking)
    return np.where(near, order[pair[nearest]], -1)


def read_depths(path: Path, topic: str, rows: IntArray) -> Iterator[FloatArray32 | None]:
    """Yield the depth (m) of a topic for each row number, None for -1 and for what is damaged.

    What cannot be read is counted in one warning at the end.
    """
    with Bag(path) as bag:
        yield from without_errors(_in_order_of(bag, topic, rows.tolist()))


def _in_order_of(
    bag: Bag, topic: str, rows: Sequence[int]
) -> Generator[FloatArray32 | ImageError | None, None, None]:
    """Yield the depths of row numbers in any order, several times where they are named again."""
    uses = collections.Counter(row for row in rows if row >= 0)
    messages = enumerate(bag.raw_messages([topic]))
    decoded = prefetch(_depth_or_error, (one for row, one in messages if row in uses))
    stream = zip(sorted(uses), decoded, strict=False)
    waiting: dict[int, FloatArray32 | ImageError] = {}
    newest = -1
    for row in rows:
        while newest < row:
            # A bag may have fewer messages than it promised.
            newest, depth = next(stream, (sys.maxsize, None))
            if depth is not None:
                waiting[newest] = depth
            if len(waiting) > _MAX_WAITING:
                del waiting[min(waiting)]
        yield waiting.get(row)
        uses[row] -= 1
        if uses[row] <= 0:
            waiting.pop(row, None)


def _depth_or_error(message: RawMessage) -> FloatArray32 | ImageError:
    try:
        return read_depth_image(message.data, f"{message.topic}@{message.received_ns}")
    except ImageError as error:
        return error
