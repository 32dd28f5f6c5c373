"""The limit of pixels that one image may have, whatever it comes from."""

from __future__ import annotations

from progeo_core.errors import ImageError

# An image takes up to 8 bytes per pixel while it is decoded.
MAX_PIXELS = 50_000_000
# The longest side that a JPEG can be written with; no camera comes near it.
_MAX_SIDE = 65_500


def check_size(source: str, width: int, height: int, max_pixels: int = MAX_PIXELS) -> None:
    """Raise `ImageError` naming `source` for an image without pixels or with too many.

    width, height: as the header says, before anything is decoded.
    """
    if width <= 0 or height <= 0:
        raise ImageError(f"{source}: the image has no pixels ({width}x{height})")
    if width * height > max_pixels or max(width, height) > _MAX_SIDE:
        raise ImageError(
            f"{source}: {width}x{height} pixels are too many; the limit is"
            f" {max_pixels / 1e6:g} million, and {_MAX_SIDE} on a side: scale the image down"
        )
