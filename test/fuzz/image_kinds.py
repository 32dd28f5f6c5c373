"""Encoded images, raw image messages and the tags of photos."""

from __future__ import annotations

import functools
import io
import math
import zlib
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import PIL.features
import PIL.Image

from progeo_core.images.codec import decode_image, make_thumbnail
from progeo_core.images.depth import depth_at, read_depth
from progeo_core.images.ros_encodings import rgb_from_compressed, rgb_from_raw
from progeo_core.records.exif import read_photo_tags
from test.fuzz.kind import Kind
from test.fuzz.mutation import mutate, mutate_start

ROOT = Path(__file__).resolve().parents[2]
_PHOTO = ROOT / "progeo_core" / "demo_data" / "corridor"
_ENCODINGS = (
    *("rgb8", "bgr16", "mono8", "mono16", "bayer_rggb8", "bayer_gbrg16", "nv12", "nv21", "yuyv"),
    *("uyvy", "rgba8", "8UC1", "16UC4", "32FC1", "", "rgb8\0", "x" * 5000),
)
_FORMATS = ("jpeg", "png", "", "bayer_rggb8; jpeg compressed", "mono16; png", "h264", "é" * 500)
_INTEGERS = (0, 1, 2, 3, 7, 64, 65_535, 2**31 - 1, 2**31, 2**32 - 1)
_EXIF_TAGS = 2000


@functools.cache
def photo() -> PIL.Image.Image:
    """Return a small real image."""
    with PIL.Image.open(min(_PHOTO.rglob("*.jpg"))) as image:
        return image.convert("RGB").resize((64, 48))


def encoded(form: str, mode: str = "RGB", **options: Any) -> bytes:
    """Return the small image in a format of Pillow's."""
    buffer = io.BytesIO()
    if mode == "I;16":
        grey = np.asarray(photo().convert("L"), np.uint16) * 16
        PIL.Image.fromarray(grey).save(buffer, form, **options)
    else:
        photo().convert(mode).save(buffer, form, **options)
    return buffer.getvalue()


def exif() -> PIL.Image.Exif:
    """Return the tags of a photo with a position, a heading and a time."""
    tags = PIL.Image.Exif()
    tags[0x0112] = 6
    tags.get_ifd(0x8769).update({0x9003: "2024:05:06 07:08:09", 0x9011: "+02:00", 0x9291: "123"})
    gps = {1: "N", 2: (48.0, 8.0, 12.5), 3: "E", 4: (11.0, 34.0, 1.0), 5: b"\0", 6: 500.5}
    tags.get_ifd(0x8825).update({**gps, 9: "A", 16: "T", 17: 271.5})
    return tags


def _decode(data: bytes, _: Path) -> None:
    for needed_side in (0, 16):
        image = decode_image(data, "case", needed_side)
        assert image.dtype == np.uint8
        assert image.ndim == 3
        assert image.shape[2] == 3
        assert image.size
    make_thumbnail(image)


def _images(*forms: tuple[str, dict[str, Any]], share: float = 1.0) -> Kind:
    return Kind(lambda: [encoded(form, **options) for form, options in forms], _decode, share=share)


def _png(seed: bytes, rng: Random, others: Sequence[bytes]) -> bytes:
    """Change bytes; in half of the cases correct the checksums, which would give them away."""
    if rng.random() < 0.5:
        return mutate(seed, rng, others)
    # Compressed pixels have a checksum of their own, so these changes are before them.
    data = bytearray(mutate_start(60)(seed, rng, others))
    offset = 8
    while offset + 12 <= len(data):
        end = offset + 8 + int.from_bytes(data[offset : offset + 4], "big")
        data[end : end + 4] = zlib.crc32(data[offset + 4 : end]).to_bytes(4, "big")
        offset = end + 4
    return bytes(data)


def _png_or_any(seed: bytes, rng: Random, others: Sequence[bytes]) -> bytes:
    return (_png if seed.startswith(b"\x89PNG") else mutate)(seed, rng, others)


def _raw_seed() -> list[dict[str, Any]]:
    data = np.asarray(photo()).tobytes()
    size = {"height": 48, "width": 64, "step": 192, "is_bigendian": False}
    return [{**size, "data": data, "encoding": "rgb8"}, {**size, "data": data, "encoding": "mono8"}]


def _raw_change(seed: dict[str, Any], rng: Random, others: Sequence[dict[str, Any]]) -> Any:
    fields = dict(seed)
    if rng.random() < 0.7:
        fields["encoding"] = rng.choice(_ENCODINGS)
    for _ in range(rng.randrange(4)):
        name = rng.choice(("height", "width", "step", "is_bigendian", "data"))
        if name == "data":
            fields[name] = mutate(fields[name], rng, [one["data"] for one in others])
        else:
            fields[name] = rng.choice(_INTEGERS)
    return fields


def _raw_read(fields: dict[str, Any], _: Path) -> None:
    image = rgb_from_raw(**fields)
    assert image.shape == (fields["height"], fields["width"], 3)
    assert image.dtype == np.uint8


def _compressed_change(seed: Any, rng: Random, others: Sequence[Any]) -> Any:
    data, _ = seed
    if rng.random() < 0.5:
        data = mutate(data, rng, [one for one, _ in others])
    return data, rng.choice(_FORMATS)


def _compressed_read(case: Any, _: Path) -> None:
    data, form = case
    assert rgb_from_compressed(data, form, "case").shape[2] == 3


def _depth(data: bytes, folder: Path) -> None:
    file = folder / "depth.png"
    file.write_bytes(data)
    depth = read_depth(file)
    assert depth.dtype == np.float32
    assert not (depth <= 0.0).any()
    depth_at(depth, [[0.0, 0.0], [63.0, 47.0], [math.nan, math.inf]], (64, 48))


def _tags(data: bytes, folder: Path) -> None:
    file = folder / "photo.jpg"
    file.write_bytes(data)
    tags = read_photo_tags(file)
    assert math.isnan(tags.lat_deg) == math.isnan(tags.lon_deg)
    assert math.isnan(tags.lat_deg) or (abs(tags.lat_deg) <= 90 and abs(tags.lon_deg) <= 180)
    assert 0 <= tags.stamp_ns < 2**63


def _kinds() -> dict[str, Kind]:
    jpegs: tuple[tuple[str, dict[str, Any]], ...] = (
        ("JPEG", {}),
        ("JPEG", {"progressive": True}),
        ("JPEG", {"mode": "CMYK"}),
    )
    grey = ("JPEG", {"mode": "L", "exif": exif()})
    pngs = [("PNG", {"mode": mode}) for mode in ("RGB", "RGBA", "P", "1", "L", "I;16")]
    png = Kind(lambda: [encoded(form, **options) for form, options in pngs], _decode, _png)
    kinds = {
        "JPEG": _images(*jpegs, grey, share=2.0),
        "PNG": png._replace(share=2.0),
        "depth image": Kind(
            lambda: [encoded("PNG", mode="I;16"), encoded("TIFF", mode="F")], _depth, _png_or_any
        ),
        "WebP": _images(("WEBP", {}), ("WEBP", {"lossless": True})),
        "TIFF": _images(
            *(("TIFF", {"compression": name}) for name in ("tiff_lzw", "tiff_deflate", "jpeg")),
            ("TIFF", {"mode": "I;16"}),
            ("TIFF", {"mode": "1", "compression": "group4"}),
        ),
        "BMP": _images(("BMP", {}), ("BMP", {"mode": "P"}), share=0.5),
        "GIF": _images(("GIF", {}), share=0.5),
        "PPM": _images(("PPM", {}), ("PPM", {"mode": "1"}), share=0.5),
        "raw image message": Kind(_raw_seed, _raw_read, _raw_change),
        "compressed image message": Kind(
            lambda: [(encoded("JPEG"), "jpeg"), (encoded("PNG"), "png")],
            _compressed_read,
            _compressed_change,
            share=0.5,
        ),
        "EXIF tags": Kind(
            lambda: [encoded("JPEG", exif=exif()), encoded("TIFF", exif=exif())],
            _tags,
            mutate_start(_EXIF_TAGS),
            share=2.0,
        ),
    }
    if PIL.features.check("jpg_2000"):
        kinds["JPEG 2000"] = _images(("JPEG2000", {}), share=0.5)
    if PIL.features.check("avif"):
        kinds["AVIF"] = _images(("AVIF", {}), share=0.5)
    return kinds


KINDS = _kinds()
