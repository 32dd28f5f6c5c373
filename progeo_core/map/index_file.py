"""The index file beside a map: what FAISS writes, then what tells whether it still fits the map.

The file ends in a seal: JSON with the map's revision, the plan of the index and a checksum of all
before it, then the length of that JSON and a signature. FAISS itself reads the file too, as it
ignores what follows.
"""

from __future__ import annotations

import json
import struct
import threading
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import faiss

from progeo_core.atomic_file import replaced_file
from progeo_core.errors import DataError
from progeo_core.map.index_plan import IndexPlan

_KIND, _SIGNATURE = b"PGINDEX", b"PGINDEX2"
_TAIL = struct.Struct("<I8s")
_READ_BYTES = 1 << 24
_MAX_SEAL_BYTES = 1 << 20
# The limit that FAISS reads by is one for the whole process.
_ONE_AT_A_TIME = threading.Lock()


class StaleIndexError(DataError):
    """There is no index of this state of the map yet; nothing is broken."""


class Seal(NamedTuple):
    """What an index file says of itself: of which map content it is, how made, its checksum.

    plan: the fields of its `IndexPlan`. newest: see `StoredIndex`.
    """

    revision: str
    plan: tuple[int, ...]
    newest: dict[str, int]
    payload_bytes: int
    crc32: int


class StoredIndex(NamedTuple):
    """An index with the map revision that it is of and the plan that it was made by.

    newest: checksums of the descriptors of its newest places, by id.
    """

    places: faiss.Index
    revision: str
    plan: IndexPlan
    newest: dict[int, int]


def write_index_file(path: Path, stored: StoredIndex) -> None:
    """Write an index; raise `OSError` where that fails, keeping the old."""
    with replaced_file(path) as unfinished:
        try:
            faiss.write_index(stored.places, str(unfinished))
        except RuntimeError as error:
            raise OSError(f"FAISS cannot write it: {error}") from error
        size = unfinished.stat().st_size
        newest = {str(place_id): crc32 for place_id, crc32 in stored.newest.items()}
        seal = Seal(stored.revision, stored.plan, newest, size, _checksum(unfinished, size))
        text = json.dumps(seal._asdict()).encode()
        with unfinished.open("ab") as file:
            file.write(text + _TAIL.pack(len(text), _SIGNATURE))


def read_index_file(path: Path) -> StoredIndex:
    """Read an index.

    Raises `StaleIndexError` where it is missing or of another version of this program, `DataError`
    where it is damaged; the message continues a sentence about the file.
    """
    try:
        seal = _read_seal(path)
        # Before FAISS sees it: a damaged length in there makes FAISS end the process.
        if _checksum(path, seal.payload_bytes) != seal.crc32:
            raise DataError("it is damaged")
        newest = {int(place_id): crc32 for place_id, crc32 in seal.newest.items()}
        plan = IndexPlan(*seal.plan)
        places = _read_payload(path, seal.payload_bytes)
        if not plan.made(places):
            raise DataError("it is of another kind than it says")
        return StoredIndex(places, seal.revision, plan, newest)
    except FileNotFoundError:
        raise StaleIndexError("it is missing") from None
    except (OSError, RuntimeError, MemoryError, ValueError) as error:
        raise DataError(f"it cannot be read ({error})") from error


def _read_payload(path: Path, size: int) -> Any:
    """Let FAISS read an index that takes no more memory than its file is long."""
    # Older releases lack the limit.
    limit = getattr(faiss, "set_deserialization_vector_byte_limit", None)
    if limit is None:
        return faiss.read_index(str(path))
    with _ONE_AT_A_TIME:
        usual = faiss.get_deserialization_vector_byte_limit()
        limit(min(size, usual) if usual else size)
        try:
            return faiss.read_index(str(path))
        finally:
            limit(usual)


def _read_seal(path: Path) -> Seal:
    with path.open("rb") as file:
        size = file.seek(0, 2)
        try:
            file.seek(size - _TAIL.size)
            length, signature = _TAIL.unpack(file.read())
            if signature != _SIGNATURE and signature.startswith(_KIND):
                raise StaleIndexError("another version of this program wrote it")
            file.seek(size - _TAIL.size - min(length, _MAX_SEAL_BYTES))
            seal = Seal(**json.loads(file.read(length)))
        except (OSError, struct.error, TypeError, ValueError, RecursionError) as error:
            raise DataError("it is damaged") from error
    if not _is_typed(seal):
        raise DataError("it is damaged")
    if signature != _SIGNATURE or seal.payload_bytes != size - _TAIL.size - length:
        raise DataError("it is damaged")
    return seal


def _is_typed(seal: Seal) -> bool:
    """Whether the fields of a seal, which JSON may give any type, are what they should be."""
    counts = [seal.payload_bytes, seal.crc32]
    return (
        isinstance(seal.revision, str)
        and isinstance(seal.plan, list)
        and isinstance(seal.newest, dict)
        and len(seal.plan) == len(IndexPlan._fields)
        and all(type(n) is int and n >= 0 for n in (*counts, *seal.plan, *seal.newest.values()))
    )


def _checksum(path: Path, size: int) -> int:
    """Return the CRC-32 of the first `size` bytes; a gigabyte takes a quarter of a second."""
    checksum = 0
    with path.open("rb") as file:
        while size > 0 and (block := file.read(min(size, _READ_BYTES))):
            checksum = zlib.crc32(block, checksum)
            size -= len(block)
    return checksum
