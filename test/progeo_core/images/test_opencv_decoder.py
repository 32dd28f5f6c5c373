import io

import PIL.Image
import pytest

from progeo_core.errors import ImageError
from progeo_core.images.opencv_decoder import decode_jpeg, decode_png
from test.progeo_core.images import bombs


def jpeg(size, **options):
    buffer = io.BytesIO()
    PIL.Image.new("RGB", size, (200, 10, 10)).save(buffer, "JPEG", **options)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("max_pixels", "size"), [(80_000, (200, 400)), (79_999, (100, 200)), (5_000, (50, 100))]
)
def test_a_jpeg_over_the_limit_comes_as_large_as_it_may(max_pixels, size):
    assert decode_jpeg(jpeg((400, 200)), "photo", 0, max_pixels).shape[:2] == size


def test_a_jpeg_sixteen_times_over_the_limit_is_refused():
    with pytest.raises(ImageError, match="photo: 100x50 pixels are too many"):
        decode_jpeg(jpeg((400, 200)), "photo", 0, 4_999)


def test_few_bytes_make_no_large_image():
    with pytest.raises(ImageError, match="photo: the image is truncated after 1"):
        decode_jpeg(bombs.sequential_jpeg(5000, truncated=True), "photo", 0, 50_000_000)
    assert decode_jpeg(bombs.sequential_jpeg(1000), "photo", 0, 50_000_000).shape == (1000, 1000, 3)


def test_scans_are_counted_against_the_size():
    assert decode_jpeg(bombs.progressive_jpeg(64, 100), "photo", 0, 50_000_000).shape[:2] == (
        64,
        64,
    )
    with pytest.raises(ImageError, match="photo: the JPEG has too many scans"):
        decode_jpeg(bombs.progressive_jpeg(5000, 50), "photo", 0, 50_000_000)


def test_a_png_of_sixteen_bits_is_grey_or_colour():
    buffer = io.BytesIO()
    PIL.Image.new("I;16", (9, 5), 700).save(buffer, "PNG")
    pixels = decode_png(buffer.getvalue(), "depth", 100)
    assert pixels.shape == (5, 9)
    assert (pixels == 700).all()
