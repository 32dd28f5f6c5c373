"""The index file beside a map: what FAISS writes, then what tells whether it still fits the map.

The file ends in a seal: JSON with the map's revision and a checksum of all before it, then the
length of that JSON and a signature. FAISS itself reads the file too, as it ignores what follows.
"""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path
from typing import NamedTuple

import faiss

from progeo_core.atomic_file import replaced_file
from progeo_core.errors import DataError

_SIGNATURE = b"PGINDEX1"
_TAIL = struct.Struct("<I8s")
_READ_BYTES = 1 << 24


class StaleIndexError(DataError):
    """Report that there is no index of this state of the map yet; nothing is broken."""


class Seal(NamedTuple):
    """Hold what an index file says of itself: the map content it is of, and its checksum."""

    revision: str
    payload_bytes: int
    crc32: int


def write_index_file(path: Path, index: faiss.Index, revision: str) -> None:
    """Write the index of one map revision; raise `OSError` where that fails, keeping the old."""
    with replaced_file(path) as unfinished:
        try:
            faiss.write_index(index, str(unfinished))
        except RuntimeError as error:
            raise OSError(f"FAISS cannot write it: {error}") from error
        size = unfinished.stat().st_size
        seal = Seal(revision, size, _checksum(unfinished, size))
        text = json.dumps(seal._asdict()).encode()
        with unfinished.open("ab") as file:
            file.write(text + _TAIL.pack(len(text), _SIGNATURE))


def read_index_file(path: Path, revision: str) -> faiss.Index:
    """Read the index of one map revision.

    Raises `StaleIndexError` where it is missing or of another revision, `DataError` where it is
    damaged; the message continues a sentence about the file.
    """
    try:
        seal = _read_seal(path)
        if seal.revision != revision:
            raise StaleIndexError("it is of another state of the map")
        # Before FAISS sees it: a damaged length in there makes FAISS end the process.
        if _checksum(path, seal.payload_bytes) != seal.crc32:
            raise DataError("it is damaged")
        return faiss.read_index(str(path))
    except FileNotFoundError:
        raise StaleIndexError("it is missing") from None
    except (OSError, RuntimeError) as error:
        raise DataError(f"it cannot be read ({error})") from error


def _read_seal(path: Path) -> Seal:
    with path.open("rb") as file:
        size = file.seek(0, 2)
        try:
            file.seek(size - _TAIL.size)
            length, signature = _TAIL.unpack(file.read())
            file.seek(size - _TAIL.size - length)
            seal = Seal(**json.loads(file.read(length)))
        except (OSError, struct.error, TypeError, ValueError) as error:
            raise DataError("it is damaged") from error
    if signature != _SIGNATURE or seal.payload_bytes != size - _TAIL.size - length:
        raise DataError("it is damaged")
    return seal


def _checksum(path: Path, size: int) -> int:
    """Return the CRC-32 of the first `size` bytes; a gigabyte takes a quarter of a second."""
    checksum = 0
    with path.open("rb") as file:
        while size > 0 and (block := file.read(min(size, _READ_BYTES))):
            checksum = zlib.crc32(block, checksum)
            size -= len(block)
    return checksum
