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
    assert jpeg_header.read_frame(data) == (321, 123, not progressive)
    offset = jpeg_header.scan_offset(data)
    assert data[offset : offset + 2] == b"\xff\xda"
    assert (jpeg_header.count_scans(data) > 1) is progressive


def test_a_header_that_is_cut_has_no_size():
    data = jpeg((32, 32))
    assert jpeg_header.read_frame(data[:20]) is None
    assert jpeg_header.scan_offset(data[:20]) == 20


def test_colours_in_scans_of_their_own_are_not_one_pass():
    data = bytearray(jpeg((32, 32)))
    data[jpeg_header.scan_offset(bytes(data)) + 4] = 1
    assert not jpeg_header.read_frame(bytes(data)).one_pass
