"""Local features of a keyframe's image, as bytes for the file that keeps them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from progeo_core.geo import FloatArray
from progeo_core.map.place_features import (
    DESCRIPTOR_VALUES,
    descriptor_bytes,
    unit_descriptors,
)


class KeyframeFeatures(NamedTuple):
    """Local features of a calibrated camera: rays [n, 2] and descriptors [n, 64] of unit length.

    A ray is where it meets the camera's plane z = 1, NaN where there is none.
    """

    rays: FloatArray
    descriptors: NDArray[np.float32]

    def to_bytes(self) -> bytes:
        """Return 72 bytes per feature."""
        return self.rays.astype(np.float32).tobytes() + descriptor_bytes(self.descriptors).tobytes()

    @classmethod
    def from_bytes(cls, data: bytes) -> KeyframeFeatures:
        """Return what `to_bytes` was made of, to the precision of 8 bits."""
        count = len(data) // (8 + DESCRIPTOR_VALUES)
        rays = np.frombuffer(data, np.float32, 2 * count).reshape(-1, 2).astype(np.float64)
        kept = np.frombuffer(data, np.int8, offset=8 * count).reshape(-1, DESCRIPTOR_VALUES)
        return cls(rays, unit_descriptors(kept))
