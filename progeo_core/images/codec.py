"""Image files and bytes → RGB arrays; anything damaged is refused by name, never half decoded."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from progeo_core.errors import ImageError
from progeo_core.images import jpeg_header, opencv_decoder, pillow_decoder, png_header
from progeo_core.images.bit_depth import rgb8_from_any_depth
from progeo_core.images.prefetch import prefetch
from progeo_core.images.size_limit import MAX_PIXELS

Image: TypeAlias = NDArray[np.uint8]  # [h, w, 3] RGB


def decode_image(
    data: bytes | bytearray | memoryview | Image,
    source: str,
    needed_side: int = 0,
    max_pixels: int = MAX_PIXELS,
) -> Image:
    """Decode an encoded image (JPEG, PNG and whatever else Pillow reads) to RGB uint8 [h, w, 3].

    The EXIF orientation is applied, grey and palette become RGB, 16 bits are scaled to 8, alpha is
    dropped. A JPEG much larger than `needed_side` pixels each way is decoded at a half, a quarter
    or an eighth of its size, still larger than that; 0 asks for the full size. The size is read
    before anything is decoded: a JPEG of more than `max_pixels` comes at a half or a quarter of its
    size where that suffices, any other such image is refused. A JPEG that only lacks its end marker
    is read, with a warning. Raises `ImageError` naming `source` for empty, truncated, damaged or
    unknown data, and for too many pixels.
    """
    encoded = bytes(data)
    if not encoded:
        raise ImageError(f"{source}: the image is empty (0 bytes)")
    if encoded.startswith(jpeg_header.START):
        pixels = opencv_decoder.decode_jpeg(encoded, source, needed_side, max_pixels)
    elif encoded.startswith(png_header.START):
        pixels = opencv_decoder.decode_png(encoded, source, max_pixels)
    else:
        pixels = pillow_decoder.decode(encoded, source, max_pixels)
    return rgb8_from_any_depth(pixels)


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


def _image_or_error(path: Path, needed_side: int) -> Image | ImageError:
    try:
        return read_image(path, needed_side)
    except ImageError as error:
        return error
