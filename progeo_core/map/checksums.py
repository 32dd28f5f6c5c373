"""Checksums of the rows of a map file: every single flipped bit changes them.

Rows of numbers get a multilinear hash (Lemire, Kaser 2014, "Strongly universal string hashing is
fast"): the sum of 32-bit words, each times a 64-bit key of its own, modulo 2^64. NumPy computes it
for thousands of rows at once, more than twice as fast as CRC-32 row by row. The keys are odd, so a
change of any one word changes the sum. Rows of text and thumbnails get CRC-32.
"""

from __future__ import annotations

import functools
import json
import zlib

import numpy as np
from numpy.typing import NDArray

from progeo_core.map.places import Float16Array, IdArray, PlacePoses

_ID_WORDS = 2
# Sums keep their upper 52 bits, which a float64 holds exactly: poses are read as float64.
_DROPPED_BITS = np.uint64(12)


def pose_checksums(poses: PlacePoses) -> IdArray:
    """Return the checksum [n] of every pose; an unknown yaw is NaN."""
    columns = np.column_stack([poses.position, poses.yaw_rad]).astype(np.float64)
    # SQLite keeps neither the sign of zero nor the bits of a NaN.
    columns += 0.0
    columns[np.isnan(columns)] = np.nan
    return _checksums(poses.ids, columns.view(np.uint32))


def descriptor_checksums(ids: IdArray, descriptors: Float16Array) -> IdArray:
    """Return the checksum [n] of every descriptor [n, D] under its place id [n]."""
    if descriptors.shape[1] % 2:
        descriptors = np.pad(descriptors, ((0, 0), (0, 1)))
    return _checksums(ids, np.ascontiguousarray(descriptors).view(np.uint32))


def label_checksum(
    place_id: int,
    stamp_ns: int,
    camera: str,
    traverse: str,
    image: str,
    thumbnail_crc32: int | None,
    view_crc32: int | None = None,
) -> int:
    """Return the checksum of what a place is called, of its thumbnail and its view if it has one.

    Without a view it is that of maps of schema 2.
    """
    lengths = f"{place_id} {stamp_ns} {thumbnail_crc32} {len(camera)} {len(traverse)} "
    view = "" if view_crc32 is None else f"\0{view_crc32}"
    return zlib.crc32(f"{lengths}{camera}{traverse}{image}{view}".encode())


def fields_checksum(*fields: str | float | bytes | None) -> int:
    """Return the checksum of the fields of one row; bytes are in a damaged one only."""
    return zlib.crc32(json.dumps(fields, default=bytes.hex).encode())


def _checksums(ids: IdArray, words: NDArray[np.uint32]) -> IdArray:
    keys = _keys(_ID_WORDS + words.shape[1])
    id_words = np.ascontiguousarray(ids, np.int64).view(np.uint32).reshape(-1, _ID_WORDS)
    total = np.einsum("ij,j->i", id_words, keys[:_ID_WORDS])
    total += np.einsum("ij,j->i", words, keys[_ID_WORDS:])
    checksums: IdArray = (total >> _DROPPED_BITS).astype(np.int64)
    return checksums


@functools.lru_cache(maxsize=8)
def _keys(count: int) -> NDArray[np.uint64]:
    """Return the odd keys [count] of the file format: SplitMix64 of 1, 2 and so on."""
    key = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    key = (key ^ (key >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    key = (key ^ (key >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (key ^ (key >> np.uint64(31))) | np.uint64(1)
