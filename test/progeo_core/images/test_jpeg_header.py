import io

import PIL.Image
import pytest

from progeo_core.images import jpeg_header


def jpeg(size, **options):
    buffer = io.BytesIO()
    PIL.Image.new("RGB", size).save(buffer, "JPEG", **options)
    return buffer.getvalue()


@pytest.mark.parametrize("progressive", [False, True])
def test_finds_size_and_scan(progressive):
    data = jpeg((321, 123), progressive=progressive)
    assert jpeg_header.shorter_side(data) == 123
    offset = jpeg_header.scan_offset(data)
    assert data[offset : offset + 2] == b"\xff\xda"


def test_a_header_that_is_cut_has_no_size():
    data = jpeg((32, 32))
    assert jpeg_header.shorter_side(data[:20]) == 0
    assert jpeg_header.scan_offset(data[:20]) == 20
