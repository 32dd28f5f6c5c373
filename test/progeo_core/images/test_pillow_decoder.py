import io

import numpy as np
import PIL.Image
import pytest

from progeo_core.errors import ImageError
from progeo_core.images.pillow_decoder import decode, open_header
from test.progeo_core.images import bombs


def encoded(image, form, **options):
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def test_a_header_is_read_of_any_size_without_the_pixels():
    with open_header(io.BytesIO(bombs.one_bit_png(20_000, 9)), "large.png") as photo:
        assert photo.size == (20_000, 20_000)


@pytest.mark.parametrize(
    "data", [b"", b"x", b"\0" * 100, b"%PDF-1.7", b"\x89PNG\r\n\x1a\n", b"II*\0"]
)
def test_what_cannot_be_opened_is_refused_by_name(data):
    with pytest.raises(ImageError, match=r"odd\.png: "):
        open_header(io.BytesIO(data), "odd.png")


def test_tiff_is_turned_upright_and_keeps_sixteen_bits():
    grey = PIL.Image.fromarray(np.arange(600, dtype=np.uint16).reshape(20, 30))
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    pixels = decode(encoded(grey, "TIFF", exif=exif), "photo", 1000)
    assert pixels.dtype == np.uint16
    assert pixels.shape == (30, 20)


def test_the_limit_comes_before_the_pixels():
    with pytest.raises(ImageError, match="photo: 30x20 pixels are too many"):
        decode(encoded(PIL.Image.new("L", (30, 20)), "GIF"), "photo", 599)
