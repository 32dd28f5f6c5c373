"""Pixels of sensor_msgs/Image and CompressedImage as RGB, the same as cv_bridge's, without ROS."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from progeo_core.errors import ImageError
from progeo_core.images.bit_depth import rgb8_from_any_depth
from progeo_core.images.codec import Image, decode_image
from progeo_core.images.size_limit import MAX_PIXELS, check_size

if TYPE_CHECKING:
    from array import array
    from typing import TypeAlias

    # rclpy gives array.array, rosbags gives NumPy; both are read in place.
    MessageData: TypeAlias = bytes | bytearray | memoryview | array[int] | NDArray[np.uint8]
    _Samples: TypeAlias = NDArray[np.uint8 | np.uint16]

# Bytes of a pixel where two share one colour.
_PACKED_YUV = 2
# By REP 118, 16-bit millimetres and floating metres.
DEPTH_ENCODINGS = ("16UC1", "32FC1")
# What CompressedImage also carries; by the format, or by the start code of H.264 and H.265.
_VIDEO = ("h264", "h265", "hevc", "av1", "vp8", "vp9", "mpeg", "ffmpeg")
_VIDEO_START = (b"\0\0\0\x01", b"\0\0\x01")


class _Layout(NamedTuple):
    """Arrangement of the bytes of one encoding, and the conversion that makes them RGB."""

    sample_bytes: int
    channels: int
    conversion: int | None  # OpenCV's code; None where the samples are RGB already
    rows_per_two: int = 2  # rows of data for two rows of image: 3 where a chroma plane follows


def _layouts() -> dict[str, _Layout]:
    """Return the layout of every encoding that is understood."""
    # OpenCV names a Bayer pattern by its second row, ROS by its first: RGGB is OpenCV's BG.
    # Generic types are taken in OpenCV's channel order; cv_bridge refuses to call them colours.
    families = {
        ("mono{bits}",): (1, cv2.COLOR_GRAY2RGB),
        ("rgb{bits}",): (3, None),
        ("bgr{bits}", "{bits}UC3"): (3, cv2.COLOR_BGR2RGB),
        ("rgba{bits}",): (4, cv2.COLOR_RGBA2RGB),
        ("bgra{bits}", "{bits}UC4"): (4, cv2.COLOR_BGRA2RGB),
        ("bayer_rggb{bits}",): (1, cv2.COLOR_BayerBG2RGB),
        ("bayer_bggr{bits}",): (1, cv2.COLOR_BayerRG2RGB),
        ("bayer_gbrg{bits}",): (1, cv2.COLOR_BayerGR2RGB),
        ("bayer_grbg{bits}",): (1, cv2.COLOR_BayerGB2RGB),
    }
    layouts = {
        name.format(bits=8 * sample_bytes): _Layout(sample_bytes, channels, conversion)
        for sample_bytes in (1, 2)
        for names, (channels, conversion) in families.items()
        for name in names
    }
    # Of 16 bits, this is depth.
    layouts["8UC1"] = layouts["mono8"]
    # The second name of each pair is the one that sensor_msgs deprecates.
    for name in ("uyvy", "yuv422"):
        layouts[name] = _Layout(1, 2, cv2.COLOR_YUV2RGB_UYVY)
    for name in ("yuyv", "yuv422_yuy2"):
        layouts[name] = _Layout(1, 2, cv2.COLOR_YUV2RGB_YUY2)
    layouts["nv12"] = _Layout(1, 1, cv2.COLOR_YUV2RGB_NV12, rows_per_two=3)
    layouts["nv21"] = _Layout(1, 1, cv2.COLOR_YUV2RGB_NV21, rows_per_two=3)
    return layouts


_LAYOUTS = _layouts()


def rgb_from_raw(
    data: MessageData,
    *,
    height: int,
    width: int,
    encoding: str,
    step: int,
    is_bigendian: bool,
    max_pixels: int = MAX_PIXELS,
) -> Image:
    """Return the pixels of a sensor_msgs/Image as RGB uint8 [height, width, 3].

    The fields are the message's; `step` (bytes per row) may be any length that holds a row. An
    rgb8 image is a view that shares memory with `data`: copy it to keep it past the message.
    Samples of 16 bits become 8 by `to_eight_bits`. Raises `ImageError` for an unknown encoding, no
    pixels or more than `max_pixels`, a step or data too short.
    """
    octets = np.frombuffer(data, np.uint8)
    row_bytes = check_raw(
        octets.size,
        height=height,
        width=width,
        encoding=encoding,
        step=step,
        max_pixels=max_pixels,
    )
    layout = _LAYOUTS[encoding]
    rows = height * layout.rows_per_two // 2
    what = _described(encoding, width, height, step)
    used: _Samples = octets[: rows * step].reshape(rows, step)[:, :row_bytes]
    samples = used if layout.sample_bytes == 1 else _native_uint16(used, bool(is_bigendian))
    if layout.channels > 1:
        samples = samples.reshape(rows, width, layout.channels)
    return _to_rgb8(what, samples, layout.conversion)


def check_raw(
    size: int, *, height: int, width: int, encoding: str, step: int, max_pixels: int = MAX_PIXELS
) -> int:
    """Return how many bytes of a row of a sensor_msgs/Image are pixels; size: of its data.

    Raises `ImageError` as `rgb_from_raw` does, and for depth, which is no picture.
    """
    layout = _LAYOUTS.get(encoding)
    if encoding in DEPTH_ENCODINGS:
        raise ImageError(
            f"image encoding '{encoding}' is depth, which is no picture: name the topic of the"
            " colour or grey images here, and this one as the depth topic"
        )
    if layout is None:
        raise ImageError(
            f"image encoding '{encoding}' is not known: use one of {', '.join(_LAYOUTS)}"
        )
    what = _described(encoding, width, height, step)
    row_bytes = width * layout.channels * layout.sample_bytes
    rows = height * layout.rows_per_two // 2
    _check_sizes(what, size, rows=rows, row_bytes=row_bytes, step=step)
    check_size(what, width, height, max_pixels)
    if layout.channels == _PACKED_YUV and width % 2:  # which OpenCV before 4.10 does not notice
        raise ImageError(f"{what}: these sizes cannot be converted: two pixels share one colour")
    return row_bytes


def rgb_from_compressed(
    data: MessageData, format: str, source: str, max_pixels: int = MAX_PIXELS
) -> Image:
    """Return the pixels of a sensor_msgs/CompressedImage as RGB uint8 [h, w, 3].

    JPEG or PNG is recognized by the data, as drivers fill `format` freely; a Bayer mosaic that was
    compressed unchanged (`bayer_rggb8; jpeg compressed`) becomes colour. Raises `ImageError`
    naming `source` for damaged data, too many pixels (see `decode_image`), video and depth images
    (compressedDepth).
    """
    if "compressedDepth" in format:
        raise ImageError(
            f"{source}: format '{format}' is a depth image; use the topic of a colour or grey image"
        )
    octets = np.frombuffer(data, np.uint8)
    if octets[:4].tobytes().startswith(_VIDEO_START) or any(
        name in format.lower() for name in _VIDEO
    ):
        raise ImageError(
            f"{source}: this is video (format '{format}'), whose frames are no images;"
            " republish it as JPEG: ros2 run image_transport republish"
        )
    image = decode_image(octets, source, max_pixels=max_pixels)
    original, _, compression = format.partition(";")
    layout = _LAYOUTS.get(original.strip())
    converted_first = any(word in compression for word in ("bgr8", "rgb8", "mono8"))
    if original.startswith("bayer_") and layout is not None and not converted_first:
        return _to_rgb8(source, np.ascontiguousarray(image[:, :, 0]), layout.conversion)
    return image


def _described(encoding: str, width: int, height: int, step: int) -> str:
    return f"{encoding} image of {width}x{height} pixels with step {step}"


def _check_sizes(what: str, size: int, *, rows: int, row_bytes: int, step: int) -> None:
    """Raise `ImageError` unless `size` bytes hold `rows` of `step` bytes, enough for the pixels."""
    if rows <= 0 or row_bytes <= 0:
        raise ImageError(f"{what}: there are no pixels; check the camera driver")
    if step < row_bytes:
        raise ImageError(f"{what}: a row takes {row_bytes} bytes; correct step in the sender")
    if size < rows * step:
        raise ImageError(
            f"{what}: {size} bytes of data where {rows * step} are needed;"
            " the message is truncated or its sizes are wrong"
        )


def _native_uint16(samples: _Samples, is_bigendian: bool) -> _Samples:
    """Join pairs of bytes [rows, 2n] into samples [rows, n]."""
    order = ">u2" if is_bigendian else "<u2"
    return np.ascontiguousarray(samples).view(order).astype(np.uint16, copy=False)


def _to_rgb8(what: str, samples: _Samples, conversion: int | None) -> Image:
    """Convert the colours at full depth and reduce to 8 bits after, which is cv_bridge's order."""
    if conversion == cv2.COLOR_GRAY2RGB:
        return rgb8_from_any_depth(samples)
    try:
        rgb = samples if conversion is None else cv2.cvtColor(samples, conversion)
    except cv2.error as error:
        raise ImageError(f"{what}: these sizes cannot be converted ({error.err})") from error
    return rgb8_from_any_depth(np.asarray(rgb, samples.dtype))
