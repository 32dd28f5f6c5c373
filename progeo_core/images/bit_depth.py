"""Samples of 16 bits → 8 bits, by what an image uses of them; the same for maps and queries.

Cameras of 10, 12 or 14 bits send samples of 16 bits and use the lowest part of them, thermal
cameras a small part somewhere. Nothing in a message or file says which, so it is judged from each
image alone: a map and its queries agree, whatever came before.
"""

from __future__ import annotations

import functools
import logging

import cv2
import numpy as np
from numpy.typing import NDArray

_log = logging.getLogger(__name__)

_SENSOR_BITS = (8, 10, 12, 14, 16)
# The darkest and the brightest percent do not count: they are dead pixels, lamps and reflections.
_DARK, _BRIGHT = 1.0, 99.0
# A range that is smaller, as of a lens cap, is noise.
_MIN_RANGE = 64
# Percentiles need no more rows and columns than about twice as many.
_SAMPLED_SIDE = 120
_VALUES = np.arange(1 << 16, dtype=np.float32)


def rgb8_from_any_depth(pixels: NDArray[np.uint8 | np.uint16]) -> NDArray[np.uint8]:
    """Return RGB uint8 [h, w, 3] of uint8 or uint16 pixels: RGB [h, w, 3] or grey [h, w].

    Grey of 16 bits is stretched from its darkest percent to its brightest. Colours of 16 bits are
    scaled from the range of the smallest sensor (10, 12, 14 or 16 bits) that holds them, so that
    they keep their hue. The log says once that they are.
    """
    is_grey = pixels.ndim == 2
    if pixels.dtype == np.uint16:
        samples = pixels.astype(np.uint16, copy=False)
        eight = _stretched(samples) if is_grey else _scaled(samples)
    else:
        eight = pixels.astype(np.uint8, copy=False)
    return np.asarray(cv2.cvtColor(eight, cv2.COLOR_GRAY2RGB), np.uint8) if is_grey else eight


def _stretched(grey: NDArray[np.uint16]) -> NDArray[np.uint8]:
    rows, columns = (max(1, side // _SAMPLED_SIDE) for side in grey.shape)
    dark, bright = np.percentile(grey[::rows, ::columns], (_DARK, _BRIGHT))
    _log_once("grey images of 16 bits are stretched to 8 bits by the range that each uses")
    scale = 255.0 / max(_MIN_RANGE, float(bright - dark))
    table = np.clip(np.rint((_VALUES - float(dark)) * scale), 0.0, 255.0).astype(np.uint8)
    return np.take(table, grey)


def _scaled(colours: NDArray[np.uint16]) -> NDArray[np.uint8]:
    brightest = int(colours.max(initial=0))
    bits = next(bits for bits in _SENSOR_BITS if brightest < 1 << bits)
    if bits < _SENSOR_BITS[-1]:
        _log_once(f"colours of 16 bits use {bits} of them and are scaled to 8 bits by these")
    # The highest value becomes 255, as in cv_bridge; shifting would darken by up to one step.
    return np.asarray(cv2.convertScaleAbs(colours, alpha=255.0 / ((1 << bits) - 1)), np.uint8)


@functools.cache
def _log_once(message: str) -> None:
    _log.info(message)
