"""Small files that claim, or decode to, far more than they should; each is valid to its decoder."""

import io
import struct
import zlib

import PIL.Image


def chunk(kind: bytes, content: bytes) -> bytes:
    """Return one chunk of a PNG."""
    return (
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
    )


def one_bit_png(side: int, rows: int | None = None) -> bytes:
    """Return a black PNG of side x side pixels, one bit each: 31 kB at 16000; or its first rows."""
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    data = zlib.compress(bytes((rows or side) * (1 + (side + 7) // 8)))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    )


def png_with_a_damaged_length(path) -> bytes:
    """Return a palette PNG whose palette claims to be 2 GB long."""
    buffer = io.BytesIO()
    with PIL.Image.open(path) as image:
        image.convert("RGB").resize((160, 120)).quantize(64).save(buffer, "PNG")
    data = bytearray(buffer.getvalue())
    data[33] = 0x7F
    return bytes(data)


def png_with_a_long_text(count: int) -> bytes:
    """Return a tiny PNG with a compressed text of `count` zeros."""
    text = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(count)))
    small = one_bit_png(8)
    return small[:33] + text + small[33:]


def sequential_jpeg(side: int, *, truncated: bool = False) -> bytes:
    """Return a grey JPEG of side x side pixels, two bits for each 8 x 8 block."""
    blocks = ((side + 7) // 8) ** 2
    data = b"" if truncated else bytes((2 * blocks + 7) // 8)
    return _jpeg(0xC0, side) + _scan(0, 63, 0) + data + b"\xff\xd9"


def progressive_jpeg(side: int, scans: int) -> bytes:
    """Return a grey progressive JPEG with many scans over all of its blocks, a few bytes each."""
    blocks = ((side + 7) // 8) ** 2
    # One run of 32767 blocks without coefficients: code 0, then 14 bits.
    run = "0" + "1" * 14
    bits = run * (blocks // 32767 + 1)
    packed = int(bits + "0" * (-len(bits) % 8), 2).to_bytes((len(bits) + 7) // 8, "big")
    packed = packed.replace(b"\xff", b"\xff\x00")
    scan = _scan(1, 63, 0x10, table=0xE0) + packed
    first = _scan(0, 0, 0x01) + bytes((blocks + 7) // 8)
    return _jpeg(0xC2, side) + first + scan * scans + b"\xff\xd9"


def _jpeg(frame: int, side: int) -> bytes:
    quantization = b"\xff\xdb\0\x43\0" + bytes([1] * 64)
    size = (
        b"\xff"
        + bytes([frame])
        + b"\0\x0b\x08"
        + struct.pack(">HH", side, side)
        + b"\x01\x01\x11\0"
    )
    return b"\xff\xd8" + quantization + size


def _scan(start: int, end: int, bits: int, table: int = 0) -> bytes:
    """Return the tables of one scan, in which the code 0 means `table`, and its header."""
    tables = b"".join(
        b"\xff\xc4\0\x14" + bytes([kind << 4, 1, *[0] * 15, value])
        for kind, value in ((0, 0), (1, table))
    )
    return tables + b"\xff\xda\0\x08\x01\x01\0" + bytes([start, end, bits])


def tiff(width: int, height: int, extra: dict[int, int] | None = None) -> bytes:
    """Return a grey TIFF of which all rows are one strip of ten bytes, or with other tags."""
    tags = {256: width, 257: height, 258: 8, 259: 8, 262: 1, 277: 1, 278: height, 273: 8, 279: 10}
    tags |= extra or {}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, tags[tag]) for tag in sorted(tags))
    body = zlib.compress(bytes(100))[:10].ljust(10, b"\0")
    start = 8 + len(body)
    return (
        b"II*\0"
        + struct.pack("<I", start)
        + body
        + struct.pack("<H", len(tags))
        + entries
        + bytes(4)
    )


def bmp(width: int, height: int) -> bytes:
    """Return a run-length BMP of a few bytes."""
    rows = bytes([0, 1])
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, len(rows), 0, 0, 256, 0)
    return (
        b"BM"
        + struct.pack("<IHHI", 14 + 40 + 1024 + len(rows), 0, 0, 14 + 40 + 1024)
        + header
        + bytes(1024)
        + rows
    )


def gif(side: int) -> bytes:
    """Return a GIF whose screen and only frame are side x side pixels, most of them missing."""
    screen = b"GIF89a" + struct.pack("<HHBBB", side, side, 0x80, 0, 0) + bytes(6)
    return screen + b"," + struct.pack("<HHHHB", 0, 0, side, side, 0) + b"\x02\x02\x44\x01\0;"


def webp(side: int) -> bytes:
    """Return the header of a lossless WebP of side x side pixels with some data."""
    bits = (side - 1) | (side - 1) << 14
    body = b"\x2f" + struct.pack("<I", bits) + bytes(200)
    part = b"VP8L" + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)
    return b"RIFF" + struct.pack("<I", 4 + len(part)) + b"WEBP" + part


def ppm(width: int, height: int) -> bytes:
    """Return the header of a PPM and a few of its pixels."""
    return f"P6 {width} {height} 255\n".encode() + bytes(300)


def jpeg2000(side: int) -> bytes:
    """Return a JPEG 2000 of 64 x 64 pixels whose header claims side x side of them."""
    buffer = io.BytesIO()
    PIL.Image.new("L", (64, 64)).save(buffer, "JPEG2000")
    data = buffer.getvalue()
    real = struct.pack(">II", 64, 64)
    return data.replace(real, struct.pack(">II", side, side))


def avif(side: int) -> bytes:
    """Return an AVIF of 64 x 64 pixels whose container claims side x side of them."""
    buffer = io.BytesIO()
    PIL.Image.new("RGB", (64, 64)).save(buffer, "AVIF")
    return buffer.getvalue().replace(struct.pack(">II", 64, 64), struct.pack(">II", side, side))


def exr(side: int) -> bytes:
    """Return the start of an OpenEXR file."""
    window = struct.pack("<iiii", 0, 0, side - 1, side - 1)
    return (
        b"\x76\x2f\x31\x01\x02\0\0\0dataWindow\0box2i\0"
        + struct.pack("<I", 16)
        + window
        + bytes(99)
    )


def radiance(side: int) -> bytes:
    """Return the start of a Radiance picture (HDR)."""
    return f"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y {side} +X {side}\n".encode() + bytes(99)
