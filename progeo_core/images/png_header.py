"""The chunks of a PNG: its size, and whether they are all there."""

from __future__ import annotations

import struct
from typing import NamedTuple

START = b"\x89PNG\r\n\x1a\n"
# Length and type stand before the content of a chunk, a checksum behind it.
_BEFORE, _AROUND = 8, 12
# Pixels, palette, transparency and orientation. Texts, profiles and animations have no use here.
_NEEDED = frozenset({b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"eXIf"})


class Png(NamedTuple):
    """Size (pixels) of a PNG, and its bytes without what a decoder of its pixels does not need."""

    width: int
    height: int
    is_grey: bool
    pixels: bytes


def read_chunks(data: bytes) -> Png | None:
    """Walk the chunks; None where one is longer than the data, or the first or last is missing.

    Decoders reserve and fill the length that a chunk claims before they see that it is not there.
    """
    offset, kinds, kept = len(START), [], [data[: len(START)]]
    while offset + _AROUND <= len(data) and b"IEND" not in kinds:
        length, kind = struct.unpack_from(">I4s", data, offset)
        end = offset + _AROUND + length
        if end > len(data):
            return None
        kinds.append(kind)
        if kind in _NEEDED:
            kept.append(data[offset:end])
        offset = end
    if kinds[:1] != [b"IHDR"] or kinds[-1] != b"IEND" or len(kept[1]) != _AROUND + 13:
        return None
    width, height, _, colours = struct.unpack_from(">IIBB", data, len(START) + _BEFORE)
    pixels = data if _NEEDED.issuperset(kinds) else b"".join(kept)
    return Png(width, height, colours in (0, 4), pixels)
