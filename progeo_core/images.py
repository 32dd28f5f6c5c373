"""Image files and bytes → RGB arrays; anything damaged is refused by name, never half decoded."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from progeo_core.errors import ImageError
from progeo_core.look_ahead import look_ahead

Image: TypeAlias = NDArray[np.uint8]  # [h, w, 3] RGB

_JPEG_START, _JPEG_END = b"\xff\xd8", b"\xff\xd9"
_JPEG_SCAN = 0xDA
_PNG_START, _PNG_END = b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82"

# OpenCV would print lines of its own beside the one message that callers give; releases that
# cannot be told so from Python just print them.
with contextlib.suppress(AttributeError):
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


def decode_image(data: bytes | bytearray | memoryview | Image, source: str) -> Image:
    """Decode an encoded image (JPEG, PNG and whatever else OpenCV reads) to RGB uint8 [h, w, 3].

    The EXIF orientation is applied, grey and palette become RGB, 16 bits are scaled to 8, alpha is
    dropped. Raises `ImageError` naming `source` for empty, truncated or unknown data.
    """
    encoded = bytes(data)
    if not encoded:
        raise ImageError(f"{source}: the image is empty (0 bytes)")
    if _is_truncated(encoded):
        raise ImageError(f"{source}: the image is truncated after {len(encoded)} bytes")
    try:
        decoded = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise ImageError(f"{source}: the image cannot be decoded ({error.err})") from error
    if decoded is None:
        raise ImageError(f"{source}: not an image, or one that is damaged ({len(encoded)} bytes)")
    return np.asarray(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB), np.uint8)


def read_image(path: Path) -> Image:
    """Read one image file as RGB uint8 [h, w, 3]; raise `ImageError` naming the file."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ImageError(f"{path}: the image cannot be read ({error.strerror})") from error
    return decode_image(data, str(path))


def load_images(paths: Iterable[Path]) -> Iterator[Image | ImageError]:
    """Yield one image, or the `ImageError` that explains its absence, per path and in order.

    Threads decode ahead of the consumer, never more than a few images, so memory stays flat.
    Closing the iterator early stops them.
    """
    return look_ahead(_image_or_error, paths)


def encode_jpeg(image: Image, quality: int = 90) -> bytes:
    """Encode RGB uint8 [h, w, 3] as JPEG."""
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    _, encoded = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return bytes(encoded)


def make_thumbnail(image: Image, longest_side: int = 240) -> bytes:
    """Shrink so that the longest side is at most `longest_side` pixels; return JPEG bytes."""
    height, width = image.shape[:2]
    scale = min(1.0, longest_side / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return encode_jpeg(np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8))


def _image_or_error(path: Path) -> Image | ImageError:
    try:
        return read_image(path)
    except ImageError as error:
        return error


def _is_truncated(data: bytes) -> bool:
    """Say whether a JPEG or PNG ends before its end marker.

    Older OpenCV fills the missing part with grey and reports nothing.
    """
    if data.startswith(_JPEG_START):
        return data.find(_JPEG_END, _jpeg_scan_offset(data)) < 0
    if data.startswith(_PNG_START):
        return data.rfind(_PNG_END) < 0
    return False


def _jpeg_scan_offset(data: bytes) -> int:
    """Return where the first scan starts: a thumbnail before it has an end marker of its own."""
    offset = len(_JPEG_START)
    while offset + 4 <= len(data) and data[offset] == 0xFF:
        marker = data[offset + 1]
        if marker == _JPEG_SCAN:
            return offset
        # A marker may be padded with 0xFF; otherwise its segment length follows, big-endian.
        length = int.from_bytes(data[offset + 2 : offset + 4], "big")
        offset += 1 if marker == 0xFF else 2 + length
    return len(data)
