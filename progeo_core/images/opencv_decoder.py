"""JPEG and PNG, which OpenCV decodes fastest: its work and memory are bounded by the header."""

from __future__ import annotations

import contextlib
import itertools
import logging
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from progeo_core.errors import ImageError
from progeo_core.images import jpeg_header, png_header
from progeo_core.images.size_limit import MAX_PIXELS, check_size

_log = logging.getLogger(__name__)

_Pixels: TypeAlias = NDArray[np.uint8 | np.uint16]

# JPEGs decode to a half, a quarter or an eighth in less time. A quarter more than what is needed
# keeps descriptors to a cosine above 0.999; at the very size they would lose ten times as much.
_FLAGS = {1: cv2.IMREAD_COLOR, 2: cv2.IMREAD_REDUCED_COLOR_2}
_FLAGS |= {4: cv2.IMREAD_REDUCED_COLOR_4, 8: cv2.IMREAD_REDUCED_COLOR_8}
_SPARE = 1.25
# A JPEG over the limit may be read at a quarter, but no smaller: the decoder's work is that of the
# full size.
_FACTORS_OVER_LIMIT = (1, 2, 4)
# Each scan of a progressive JPEG goes through the whole image; cameras and programs write about 10.
_MAX_SCANNED_PIXELS = 20 * MAX_PIXELS
# A block of 8 x 8 pixels takes two bits at least, unless arithmetic codes are used.
_MAX_PIXELS_PER_BYTE = 256
# Where a decoder still needs pixels, it makes some of these bytes; otherwise it ignores them.
_NOISE = bytes((73 * number + 41) % 251 for number in range(2048))
_without_end = itertools.count(1)

# OpenCV would print lines of its own beside the one message that callers give; releases that
# cannot be told so from Python just print them.
with contextlib.suppress(AttributeError):
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


def decode_jpeg(encoded: bytes, source: str, needed_side: int, max_pixels: int) -> _Pixels:
    """Decode a JPEG to upright RGB uint8 [h, w, 3]; see `progeo_core.images.codec.decode_image`."""
    frame = jpeg_header.read_frame(encoded)
    if frame is None:
        raise _truncated(encoded, source)
    flag = _FLAGS[_reduction(frame, source, needed_side, max_pixels)]
    _check_work(encoded, frame, source)
    if encoded.find(jpeg_header.END, jpeg_header.scan_offset(encoded)) >= 0:
        return _opencv_rgb(encoded, source, flag)
    return _decode_without_end(encoded, source, flag)


def decode_png(encoded: bytes, source: str, max_pixels: int) -> _Pixels:
    """Decode a PNG to RGB uint8 or uint16 [h, w, 3], or to grey uint16 [h, w].

    Of an animation the first picture is taken. Raises `ImageError` naming `source`.
    """
    png = png_header.read_chunks(encoded)
    if png is None:
        raise _truncated(encoded, source)
    check_size(source, png.width, png.height, max_pixels)
    rgb = _opencv_rgb(png.pixels, source, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
    return np.ascontiguousarray(rgb[:, :, 0]) if png.is_grey and rgb.dtype == np.uint16 else rgb


def _reduction(frame: jpeg_header.Frame, source: str, needed_side: int, max_pixels: int) -> int:
    """Return the factor to decode with, or raise `ImageError` for an image that stays too large."""
    for factor in _FACTORS_OVER_LIMIT if frame.one_pass else (1,):
        width, height = -(-frame.width // factor), -(-frame.height // factor)
        if width * height <= max_pixels:
            break
    check_size(source, width, height, max_pixels)
    if not needed_side:
        return factor
    spare = min(frame.width, frame.height) / (_SPARE * needed_side)
    return max(factor, *(one for one in _FLAGS if one == 1 or one <= spare))


def _check_work(encoded: bytes, frame: jpeg_header.Frame, source: str) -> None:
    """Raise `ImageError` where a few bytes would keep the decoder busy."""
    pixels = frame.width * frame.height
    if frame.one_pass:
        if pixels > _MAX_PIXELS_PER_BYTE * (len(encoded) - jpeg_header.scan_offset(encoded)):
            raise _truncated(encoded, source)
    elif pixels * jpeg_header.count_scans(encoded) > _MAX_SCANNED_PIXELS:
        raise ImageError(f"{source}: the JPEG has too many scans; save it again as baseline JPEG")


def _decode_without_end(encoded: bytes, source: str, flag: int) -> _Pixels:
    """Decode a JPEG whose end marker is missing; raise `ImageError` where pixels are, too.

    They are all there if bytes after the last ones change none of them.
    """
    body = encoded.rstrip(b"\0")
    plain, noisy = (
        _opencv_rgb(body + more + jpeg_header.END, source, flag) for more in (b"", _NOISE)
    )
    if not np.array_equal(plain, noisy):
        raise _truncated(encoded, source)
    _warn_of_missing_end(source)
    return plain


def _opencv_rgb(encoded: bytes, source: str, flag: int) -> _Pixels:
    try:
        decoded = cv2.imdecode(np.frombuffer(encoded, np.uint8), flag)
    except cv2.error as error:
        raise ImageError(f"{source}: the image cannot be decoded ({error.err})") from error
    if decoded is None:
        raise ImageError(f"{source}: the image is damaged ({len(encoded)} bytes)")
    return np.asarray(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB))


def _truncated(encoded: bytes, source: str) -> ImageError:
    return ImageError(f"{source}: the image is truncated after {len(encoded)} bytes")


def _warn_of_missing_end(source: str) -> None:
    """Say at the first such image, the tenth, the hundredth and so on, how many there were."""
    count = next(_without_end)
    if str(count).strip("0") == "1":
        _log.warning(
            "%s: the JPEG lacks its end marker; it is read, as its pixels are all there"
            " (%d such images so far)",
            source,
            count,
        )
