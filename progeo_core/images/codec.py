"""Image files and bytes → RGB arrays; anything damaged is refused by name, never half decoded."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from progeo_core.errors import ImageError
from progeo_core.images import jpeg_header
from progeo_core.prefetch import prefetch

Image: TypeAlias = NDArray[np.uint8]  # [h, w, 3] RGB

_PNG_START, _PNG_END = b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82"
# JPEGs decode to a half, a quarter or an eighth in less time. A quarter more than what is needed
# keeps descriptors to a cosine above 0.999; at the very size they would lose ten times as much.
_REDUCED = {8: cv2.IMREAD_REDUCED_COLOR_8, 4: cv2.IMREAD_REDUCED_COLOR_4}
_REDUCED |= {2: cv2.IMREAD_REDUCED_COLOR_2}
_SPARE = 1.25

# OpenCV would print lines of its own beside the one message that callers give; releases that
# cannot be told so from Python just print them.
with contextlib.suppress(AttributeError):
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


def decode_image(
    data: bytes | bytearray | memoryview | Image, source: str, needed_side: int = 0
) -> Image:
    """Decode an encoded image (JPEG, PNG and whatever else OpenCV reads) to RGB uint8 [h, w, 3].

    The EXIF orientation is applied, grey and palette become RGB, 16 bits are scaled to 8, alpha is
    dropped. A JPEG much larger than `needed_side` pixels each way is decoded at a half, a quarter
    or an eighth of its size, still larger than that; 0 asks for the full size. Raises `ImageError`
    naming `source` for empty, truncated or unknown data.
    """
    encoded = bytes(data)
    if not encoded:
        raise ImageError(f"{source}: the image is empty (0 bytes)")
    if _is_truncated(encoded):
        raise ImageError(f"{source}: the image is truncated after {len(encoded)} bytes")
    try:
        decoded = cv2.imdecode(np.frombuffer(encoded, np.uint8), _flag(encoded, needed_side))
    except cv2.error as error:
        raise ImageError(f"{source}: the image cannot be decoded ({error.err})") from error
    if decoded is None:
        raise ImageError(f"{source}: not an image, or one that is damaged ({len(encoded)} bytes)")
    return np.asarray(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB), np.uint8)


def read_image(path: str | Path, needed_side: int = 0) -> Image:
    """Read one image file as `decode_image` does; raise `ImageError` naming the file."""
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise ImageError(f"{path}: the image cannot be read ({error.strerror})") from error
    return decode_image(data, str(path), needed_side)


def load_images(paths: Iterable[Path], needed_side: int = 0) -> Iterator[Image | ImageError]:
    """Yield one image, or the `ImageError` that explains its absence, per path and in order.

    needed_side: see `decode_image`.
    Threads decode ahead of the consumer, never more than a few images, so memory stays flat.
    Closing the iterator early stops them.
    """
    return prefetch(functools.partial(_image_or_error, needed_side=needed_side), paths)


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


def _flag(encoded: bytes, needed_side: int) -> int:
    """Return how OpenCV is to decode: as small as it can be and still be large enough."""
    if not needed_side or not encoded.startswith(jpeg_header.START):
        return cv2.IMREAD_COLOR
    spare = jpeg_header.shorter_side(encoded) / (_SPARE * needed_side)
    return next((flag for factor, flag in _REDUCED.items() if factor <= spare), cv2.IMREAD_COLOR)


def _image_or_error(path: Path, needed_side: int) -> Image | ImageError:
    try:
        return read_image(path, needed_side)
    except ImageError as error:
        return error


def _is_truncated(data: bytes) -> bool:
    """Whether a JPEG or PNG ends before its end marker.

    Older OpenCV fills the missing part with grey and reports nothing.
    """
    if data.startswith(jpeg_header.START):
        return data.find(jpeg_header.END, jpeg_header.scan_offset(data)) < 0
    if data.startswith(_PNG_START):
        return data.rfind(_PNG_END) < 0
    return False
