"""What landmarks err by along the rays they were triangulated by, in the image of another camera.

A triangulated landmark is well known across the rays of its place's camera, and much less along
them: another camera sees it somewhere on a piece of that ray's image. Across that piece it says
where the camera is, along it little (Vakhitov et al. 2021, Uncertainty-Aware Camera Pose Estimation
from Points and Lines).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from progeo_core.geo import FloatArray

# Against depth, half of the triangulated points err by 2.3 of their stated deviations.
_DEVIATIONS = 2.0


class Correspondences(NamedTuple):
    """Rays [n, 2] of a camera, where they meet its plane z = 1, and the landmarks [n, 3] (m) there.

    spread: [n, 3] of `landmark_spread`, None where landmarks are as good in all directions.
    """

    rays: FloatArray
    landmarks: FloatArray
    spread: FloatArray | None = None


def landmark_spread(
    landmarks: FloatArray, sigma_m: NDArray[np.float32], position: FloatArray
) -> FloatArray:
    """Return the standard deviations [n, 3] (m) of landmarks as vectors along their rays.

    landmarks: [n, 3] (m), seen from a position [3] (m). sigma_m: [n] their stated deviations.
    """
    ray = landmarks - position
    length = np.linalg.norm(ray, axis=1, keepdims=True)
    return np.asarray(ray * (_DEVIATIONS * sigma_m[:, None] / np.maximum(length, 1e-9)))


def whitened(values: FloatArray, spread: FloatArray) -> FloatArray:
    """Return values [..., 2, n] (pixels) in units of what pairs of image and landmark err by.

    spread: [2, n] (pixels) what landmarks err by in the image, beside a pixel in any direction.
    """
    squared = (spread**2).sum(axis=0)
    share = (1.0 - 1.0 / np.sqrt(1.0 + squared)) / np.maximum(squared, 1e-12)
    return np.asarray(values - spread * (share * (spread * values).sum(axis=-2))[..., None, :])
