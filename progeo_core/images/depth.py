"""Depth images: metres along the optical axis, and the depth at points of the image beside them."""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from progeo_core.errors import ImageError
from progeo_core.geo import FloatArray
from progeo_core.images import pillow_decoder, png_header
from progeo_core.images.size_limit import MAX_PIXELS, check_size

if TYPE_CHECKING:
    from progeo_core.images.ros_encodings import MessageData

FloatArray32: TypeAlias = NDArray[np.float32]

# Millimetres of a uint16 that mean "unknown": nothing measured, and the sensor's limit.
_UNKNOWN_MM = (0, 65535)
# Within one cell depth does not change by more than this, unless an edge runs through there.
_EDGE = 0.05
_NEIGHBORS = [(row, column) for row in (-1, 0, 1) for column in (-1, 0, 1)]
_FORM = "depth is a PNG of 16 bits grey (mm) or a TIFF of 32 bits float (m)"


def read_depth(path: str | Path) -> FloatArray32:
    """Read a depth image as metres [h, w], NaN unknown.

    A PNG of 16 bits grey is in millimetres, where 0 and 65535 are unknown; a TIFF of 32-bit floats
    is in metres. Raises `ImageError` naming the file for any other image.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise ImageError(f"{path}: the depth cannot be read ({error.strerror})") from error
    if data.startswith(png_header.START):
        return _metres_of_png(data, str(path))
    return _metres_of_tiff(data, str(path))


def depth_at(depth: FloatArray32, points: ArrayLike, image_size: tuple[int, int]) -> FloatArray:
    """Return metres [n] at pixels [n, 2] of an image of a size (width, height).

    Pixel (u, v) of the image is pixel (u dw / w, v dh / h) of the depth [dh, dw], and the nearest
    value counts. NaN outside, where it is unknown, and on an edge: where a neighbour within one
    cell differs by more than 5 %.
    """
    height, width = depth.shape
    pixels = np.asarray(points, np.float64).reshape(-1, 2)
    places = pixels * (width / image_size[0], height / image_size[1])
    metres = np.full(len(places), np.nan)
    with np.errstate(invalid="ignore"):
        inside = (places >= -0.5).all(axis=1) & (places < (width - 0.5, height - 0.5)).all(axis=1)
    columns, rows = np.rint(places[inside]).astype(np.intp).clip(0, (width - 1, height - 1)).T
    found = depth[rows, columns].astype(np.float64)
    for down, right in _NEIGHBORS:
        beside = depth[(rows + down).clip(0, height - 1), (columns + right).clip(0, width - 1)]
        # An unknown neighbour differs by nothing.
        found[np.abs(beside - found) > _EDGE * found] = np.nan
    metres[inside] = found
    return metres


def depth_from_raw(
    data: MessageData, *, height: int, width: int, encoding: str, step: int, is_bigendian: bool
) -> FloatArray32:
    """Return the depth in a sensor_msgs/Image as metres [h, w], NaN unknown.

    16UC1 (or mono16) is in millimetres, 32FC1 in metres (REP 118). Raises `ImageError` for another
    encoding, no pixels or too many, a step or data too short.
    """
    kinds = {"16UC1": "u2", "mono16": "u2", "32FC1": "f4"}
    if encoding not in kinds:
        raise ImageError(f"encoding '{encoding}' is not depth: use one of {', '.join(kinds)}")
    what = f"{encoding} depth of {width}x{height} pixels with step {step}"
    check_size(what, width, height)
    samples = np.dtype((">" if is_bigendian else "<") + kinds[encoding])
    octets = np.frombuffer(data, np.uint8)
    if step < width * samples.itemsize or octets.size < height * step:
        raise ImageError(f"{what}: {octets.size} bytes of data are too few for its size")
    rows = octets[: height * step].reshape(height, step)[:, : width * samples.itemsize]
    values = np.ascontiguousarray(rows).view(samples)
    return _metres_of_mm(values) if samples.kind == "u" else _known_metres(values)


def _metres_of_png(data: bytes, source: str) -> FloatArray32:
    png = png_header.read_chunks(data)
    if png is None:
        raise ImageError(f"{source}: the depth is truncated after {len(data)} bytes")
    check_size(source, png.width, png.height)
    if not png.is_grey:
        raise ImageError(f"{source}: a picture in colour is no depth; {_FORM}")
    values = cv2.imdecode(np.frombuffer(png.pixels, np.uint8), cv2.IMREAD_UNCHANGED)
    if values is None:
        raise ImageError(f"{source}: the depth is damaged ({len(data)} bytes)")
    if values.dtype != np.uint16 or values.ndim != 2:
        raise ImageError(f"{source}: a picture of 8 bits or with alpha is no depth; {_FORM}")
    return _metres_of_mm(values.astype(np.uint16, copy=False))


def _metres_of_tiff(data: bytes, source: str) -> FloatArray32:
    with pillow_decoder.open_header(io.BytesIO(data), source) as photo:
        pillow_decoder.check_header(photo, source, MAX_PIXELS)
        if photo.mode != "F":
            raise ImageError(f"{source}: pixels of kind {photo.mode} are no depth; {_FORM}")
        try:
            return _known_metres(np.asarray(photo))
        except Exception as error:  # decoders of damaged files raise anything
            raise ImageError(f"{source}: the depth is truncated or damaged ({error})") from error


def _metres_of_mm(values: NDArray[np.uint16]) -> FloatArray32:
    metres = values.astype(np.float32) / np.float32(1000.0)
    metres[np.isin(values, _UNKNOWN_MM)] = math.nan
    return metres


def _known_metres(values: NDArray[np.float32]) -> FloatArray32:
    """Return metres, NaN where a value is infinite or not positive."""
    metres = values.astype(np.float32)
    metres[~((metres > 0.0) & (metres < math.inf))] = math.nan
    return metres
