"""Poses on level ground as arrays [..., 3]: x, y (m) and yaw (rad), counter-clockwise from x."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from progeo_core.geo import FloatArray, wrap_angle


def compose(first: ArrayLike, then: ArrayLike) -> FloatArray:
    """Return the pose [..., 3] that `then`, given in the frame of `first`, has outside of it."""
    a, b = np.asarray(first, np.float64), np.asarray(then, np.float64)
    cos, sin = np.cos(a[..., 2]), np.sin(a[..., 2])
    x = a[..., 0] + cos * b[..., 0] - sin * b[..., 1]
    y = a[..., 1] + sin * b[..., 0] + cos * b[..., 1]
    return np.stack([x, y, wrap_angle(a[..., 2] + b[..., 2])], axis=-1)


def between(origin: ArrayLike, pose: ArrayLike) -> FloatArray:
    """Return `pose` [..., 3] as seen from `origin`."""
    a, b = np.asarray(origin, np.float64), np.asarray(pose, np.float64)
    cos, sin = np.cos(a[..., 2]), np.sin(a[..., 2])
    dx, dy = b[..., 0] - a[..., 0], b[..., 1] - a[..., 1]
    yaw = wrap_angle(b[..., 2] - a[..., 2])
    return np.stack([cos * dx + sin * dy, cos * dy - sin * dx, yaw], axis=-1)
