"""Pictures that Pillow reads: opened by their header alone, decoded once their size is known."""

from __future__ import annotations

import contextlib
import functools
import io
import warnings
from typing import IO, Any

import numpy as np
import PIL.Image
import PIL.ImageFile
import PIL.ImageOps
import PIL.TiffImagePlugin
from numpy.typing import NDArray

from progeo_core.errors import ImageError
from progeo_core.images.size_limit import check_size

_FORMATS = (
    *("JPEG", "PNG", "WEBP", "TIFF", "BMP", "AVIF", "HEIF", "JPEG2000", "GIF", "PPM", "SUN"),
)
_START_BYTES = 32
_TILE_WIDTH, _TILE_LENGTH = 322, 323
_SIXTEEN_BITS = ("I;16", "I;16L", "I;16B", "I;16N")
_THIRTY_TWO_BITS = ("I", "F")

# Pillow would print what it finds odd in a file beside the one message that callers give.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")


def open_header(file: IO[bytes], source: str) -> PIL.ImageFile.ImageFile:
    """Open an image without decoding it, to ask for its size and tags, of any size.

    HEIC needs the package pillow-heif. Raises `ImageError` naming `source`.
    """
    start = file.read(_START_BYTES)
    file.seek(0)
    for factory, accept in _plugins():
        accepted = accept(start)
        if isinstance(accepted, str):
            raise ImageError(f"{source}: the image cannot be read ({accepted})")
        if accepted:
            # Decoders of damaged files raise anything, and PIL.Image.open refuses large photos.
            try:
                photo: PIL.ImageFile.ImageFile = factory(file, "")
                return photo
            except Exception as error:
                raise ImageError(f"{source}: the image is damaged ({error})") from error
    missing = "" if reads_heic() else "; for HEIC photos install pillow-heif"
    raise ImageError(f"{source}: not an image, or one of an unknown kind{missing}")


def decode(data: bytes, source: str, max_pixels: int) -> NDArray[np.uint8 | np.uint16]:
    """Decode to upright RGB uint8 [h, w, 3], or grey uint16 [h, w] where a pixel has 16 bits.

    Raises `ImageError` naming `source`.
    """
    with open_header(io.BytesIO(data), source) as photo:
        check_header(photo, source, max_pixels)
        if photo.mode in _THIRTY_TWO_BITS:
            raise ImageError(f"{source}: pixels of 32 bits are not read; convert them to 8 or 16")
        try:
            upright = PIL.ImageOps.exif_transpose(photo)
            if upright.mode in _SIXTEEN_BITS:
                return np.asarray(upright).astype(np.uint16, copy=False)
            return np.asarray(upright.convert("RGB"))
        except Exception as error:
            raise ImageError(
                f"{source}: the image is truncated or damaged ({error or type(error).__name__})"
            ) from error


def check_header(photo: PIL.ImageFile.ImageFile, source: str, max_pixels: int) -> None:
    """Raise `ImageError` naming `source` for a picture of too many pixels, or tiles of too many."""
    check_size(source, *photo.size, max_pixels)
    if isinstance(photo, PIL.TiffImagePlugin.TiffImageFile):
        width, height = (photo.tag_v2.get(tag, 1) for tag in (_TILE_WIDTH, _TILE_LENGTH))
        check_size(f"{source}, a tile of it", width, height, max_pixels)


@functools.cache
def _plugins() -> tuple[tuple[Any, Any], ...]:
    """Return what opens each format that is understood, and what recognizes its first bytes."""
    PIL.Image.init()
    reads_heic()
    return tuple(PIL.Image.OPEN[form] for form in _FORMATS if form in PIL.Image.OPEN)


@functools.cache
def reads_heic() -> bool:
    """Whether pillow-heif is installed; it reads HEIC once it is registered."""
    with contextlib.suppress(ImportError):
        import pillow_heif

        pillow_heif.register_heif_opener()
        return True
    return False
