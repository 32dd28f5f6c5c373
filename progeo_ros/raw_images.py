"""Pixels of raw image messages, by cv_bridge where there is one: the only place that decides."""

from __future__ import annotations

import logging
import sys
from typing import Any

import numpy as np
from sensor_msgs.msg import Image

from progeo_core.images import codec
from progeo_core.images.ros_encodings import check_raw, rgb_from_raw

try:
    from cv_bridge import CvBridge

    BRIDGE: Any = CvBridge()
except ImportError:  # PyPI has none that works.
    BRIDGE = None

_log = logging.getLogger(__name__)
# Encodings that the cv_bridge here has refused, or does not know as colours.
_refused: set[str] = set()


def rgb_of(message: Image, max_pixels: int) -> codec.Image:
    """Return the pixels of a raw image as RGB; `ImageError` for any that cannot be used.

    cv_bridge and this package's own conversion give the same pixels; the latter takes what
    cv_bridge misreads or refuses (see `is_for_bridge`).
    """
    layout: dict[str, Any] = {
        "height": message.height,
        "width": message.width,
        "encoding": message.encoding,
        "step": message.step,
        "max_pixels": max_pixels,
    }
    row_bytes = check_raw(len(message.data), **layout)
    layout["is_bigendian"] = bool(message.is_bigendian)
    if is_for_bridge(message, row_bytes):
        converted = _by_bridge(message)
        if converted is not None:
            return converted
    return rgb_from_raw(message.data, **layout)


def is_for_bridge(message: Image, row_bytes: int) -> bool:
    """Whether cv_bridge reads a message as it is meant; row_bytes: of a row without padding.

    It takes padding for pixels where that is no whole number of them, fails with NumPy 2 on another
    byte order than this machine's (also of bytes), and makes images of 10 or 12 bits in 16 black.
    """
    own_order = bool(message.is_bigendian) == (sys.byteorder == "big")
    return row_bytes == message.step and own_order and "16" not in message.encoding


def _by_bridge(message: Image) -> codec.Image | None:
    """Return what cv_bridge makes of a message, None where it refuses."""
    if BRIDGE is None or message.encoding in _refused:
        return None
    try:
        return np.asarray(BRIDGE.imgmsg_to_cv2(message, "rgb8"), np.uint8)
    except Exception as error:  # its own CvBridgeError, which is no subclass of any other
        _refused.add(message.encoding)
        _log.info(
            "cv_bridge does not convert %s, which is done without it from now on: %s",
            message.encoding,
            error,
        )
        return None
