import io

import PIL.Image
import PIL.PngImagePlugin

from progeo_core.images.png_header import read_chunks
from test.progeo_core.images.bombs import chunk


def png(mode="RGB", **options):
    buffer = io.BytesIO()
    PIL.Image.new(mode, (321, 123)).save(buffer, "PNG", **options)
    return buffer.getvalue()


def test_size_and_kind():
    colour = read_chunks(png())
    assert (colour.width, colour.height, colour.is_grey) == (321, 123, False)
    assert read_chunks(png("I;16")).is_grey
    assert read_chunks(png("LA")).is_grey
    assert not read_chunks(png("P")).is_grey


def test_only_what_pixels_need_is_kept():
    data = png()
    assert read_chunks(data).pixels is data
    info = PIL.PngImagePlugin.PngInfo()
    info.add_itxt("comment", "x" * 1000)
    assert read_chunks(png(pnginfo=info)).pixels == data


def test_every_cut_and_every_long_chunk_is_seen():
    data = png("P")
    assert all(read_chunks(data[:end]) is None for end in range(8, len(data)))
    for place in (8, 33):  # the length of the first and of the second chunk
        damaged = bytearray(data)
        damaged[place] = 0x7F
        assert read_chunks(bytes(damaged)) is None
    swapped = data[:8] + chunk(b"PLTE", bytes(3)) + data[8:]
    assert read_chunks(swapped) is None
