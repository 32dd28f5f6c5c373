"""What stands before the pixels of a JPEG: its size, and where the pixels begin."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

START, END = b"\xff\xd8", b"\xff\xd9"
_SCAN = 0xDA
# Start-of-frame markers; the three left out of the range mean tables.
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_NOT_FOUND = 0


class _Segment(NamedTuple):
    marker: int
    offset: int


def scan_offset(data: bytes) -> int:
    """Return where the first scan starts: a thumbnail before it has an end marker of its own."""
    return next((one.offset for one in _segments(data) if one.marker == _SCAN), len(data))


def shorter_side(data: bytes) -> int:
    """Return the smaller of width and height (pixels), 0 where the header does not say."""
    for marker, offset in _segments(data):
        if marker in _FRAMES:
            # Marker and length take four bytes, the sample depth one; then height and width.
            sides = data[offset + 5 : offset + 7], data[offset + 7 : offset + 9]
            return min(int.from_bytes(side, "big") for side in sides)
    return _NOT_FOUND


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
