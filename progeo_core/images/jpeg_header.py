"""The header of a JPEG: its size, how its pixels are stored, and where they begin."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

START, END = b"\xff\xd8", b"\xff\xd9"
_SCAN = 0xDA
# Start-of-frame markers; the three left out of the range mean tables.
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
# Baseline and extended sequential, both with Huffman codes.
_SEQUENTIAL = frozenset({0xC0, 0xC1})


class Frame(NamedTuple):
    """Size (pixels) of a JPEG, and how its pixels are stored.

    one_pass: whether all colours come in one scan from top to bottom, so that a decoder needs
    memory for a few rows only and can shrink what it gives out.
    """

    width: int
    height: int
    one_pass: bool


class _Segment(NamedTuple):
    marker: int
    offset: int


def read_frame(data: bytes) -> Frame | None:
    """Return the frame that stands before the first scan; None where the header is cut."""
    frame, parts = None, 0
    for marker, offset in _segments(data):
        if marker in _FRAMES and frame is None and offset + 10 <= len(data):
            # Marker and length take four bytes, the sample depth one; then height and width.
            height, width = (
                int.from_bytes(data[offset + at : offset + at + 2], "big") for at in (5, 7)
            )
            parts = data[offset + 9]
            frame = Frame(width, height, one_pass=marker in _SEQUENTIAL)
        if marker == _SCAN and frame is not None:
            return frame._replace(
                one_pass=frame.one_pass and data[offset + 4 :][:1] == bytes([parts])
            )
    return None


def scan_offset(data: bytes) -> int:
    """Return where the first scan starts: a thumbnail before it has an end marker of its own."""
    return next((one.offset for one in _segments(data) if one.marker == _SCAN), len(data))


def count_scans(data: bytes) -> int:
    """Return how many scans there are; each may take as long to decode as the whole image."""
    return data.count(bytes([0xFF, _SCAN]), scan_offset(data))


def _segments(data: bytes) -> Iterator[_Segment]:
    """Yield the segments up to the first scan."""
    offset = len(START)
    while offset + 4 <= len(data) and data[offset] == 0xFF:
        marker = data[offset + 1]
        if marker != 0xFF:
            yield _Segment(marker, offset)
        if marker == _SCAN:
            return
        # A marker may be padded with 0xFF; otherwise its segment length follows, big-endian.
        length = int.from_bytes(data[offset + 2 : offset + 4], "big")
        offset += 1 if marker == 0xFF else 2 + length
