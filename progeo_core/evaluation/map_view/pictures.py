"""Pictures of places for a page: as the map holds them, smaller or fewer where these are many."""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from progeo_core.errors import ImageError
from progeo_core.images.codec import Image, decode_image
from progeo_core.map.place_map import PlaceMap
from progeo_core.progress import Advance, no_progress

IntArray = NDArray[np.int64]

MAX_PICTURES = 10_000
# All pictures of a page together take about this at most.
_MAX_BYTES = 9_000_000
_SAMPLE = 40
_BATCH = 256


class Shrinking(NamedTuple):
    """Longest side (pixels) and quality (1 to 100) of smaller pictures."""

    side: int
    quality: int


# In this order, until the pictures fit.
_STEPS = (Shrinking(160, 60), Shrinking(128, 50), Shrinking(96, 45), Shrinking(80, 35))


class Pictures(NamedTuple):
    """Pictures of some places; rows: [p] of the places, ascending, files: p JPEGs or WebPs."""

    rows: IntArray
    files: list[bytes]

    def nearest_in_order(self, count: int) -> IntArray:
        """Return which picture [n] is nearest to each of `count` rows, -1 without any."""
        if not len(self.rows):
            return np.full(count, -1, np.int64)
        after = np.searchsorted(self.rows, np.arange(count)).clip(1, max(1, len(self.rows) - 1))
        before = after - 1
        after = np.minimum(after, len(self.rows) - 1)
        is_later = self.rows[after] - np.arange(count) < np.arange(count) - self.rows[before]
        return np.where(is_later, after, before)


def choose_pictures(
    place_map: PlaceMap,
    ids: IntArray,
    wanted: Iterable[int],
    advance: Advance = no_progress,
) -> Pictures:
    """Return pictures of at most 10,000 places of a map, evenly taken, in about 9 MB.

    wanted: rows of places that get one in any case. Pictures that cannot be read are left out.
    """
    step = max(1, math.ceil(len(ids) / MAX_PICTURES))
    rows = np.union1d(np.arange(0, len(ids), step), np.array([*wanted], np.int64)).astype(np.int64)
    shrinking = _shrinking(place_map, ids, rows)
    kept: list[int] = []
    files: list[bytes] = []
    with ThreadPoolExecutor(os.cpu_count()) as workers:
        for start in range(0, len(rows), _BATCH):
            batch = rows[start : start + _BATCH].tolist()
            # A file is read by one thread.
            stored = [place_map.thumbnail(int(ids[row])) for row in batch]
            smaller = workers.map(_shrunk, stored, itertools.repeat(shrinking))
            for row, file in zip(batch, smaller, strict=True):
                if file is not None:
                    kept.append(row)
                    files.append(file)
            advance(len(batch))
    return Pictures(np.array(kept, np.int64), files)


def _shrinking(place_map: PlaceMap, ids: IntArray, rows: IntArray) -> Shrinking | None:
    """Return how pictures of these rows are made smaller, None where they fit as they are."""
    sample = rows[:: max(1, len(rows) // _SAMPLE)]
    stored = [place_map.thumbnail(int(ids[row])) for row in sample]
    for shrinking in (None, *_STEPS):
        if _mean_size([_shrunk(one, shrinking) for one in stored]) * len(rows) <= _MAX_BYTES:
            return shrinking
    return _STEPS[-1]


def _mean_size(files: Sequence[bytes | None]) -> float:
    return sum(len(file or b"") for file in files) / max(1, len(files))


def _shrunk(stored: bytes | None, shrinking: Shrinking | None) -> bytes | None:
    if stored is None or shrinking is None:
        return stored
    try:
        return small_picture(decode_image(stored, "thumbnail", shrinking.side), shrinking)
    except ImageError:
        return None


def small_picture(image: Image, shrinking: Shrinking) -> bytes:
    """Return an image as a WebP that is no larger than the shrinking says."""
    scale = min(1.0, shrinking.side / max(image.shape[:2]))
    height, width = (max(1, round(side * scale)) for side in image.shape[:2])
    small = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    # Half the size of a JPEG, as that has a table of its own in each file.
    bgr = cv2.cvtColor(small, cv2.COLOR_RGB2BGR)
    _, file = cv2.imencode(".webp", bgr, [cv2.IMWRITE_WEBP_QUALITY, shrinking.quality])
    return file.tobytes()
