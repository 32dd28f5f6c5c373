"""What a model sees of an image: its size and its statistics."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from progeo_core.errors import ImageError
from progeo_core.images.codec import Image

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
RESAMPLINGS = ("bilinear", "bicubic")


class Preprocessing(NamedTuple):
    """How images are squashed to one size and normalised.

    height, width: pixels. resampling: one of `RESAMPLINGS`. mean, std: per RGB channel, of 0–1.
    """

    height: int = 512
    width: int = 512
    resampling: str = "bilinear"
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD

    def __str__(self) -> str:
        """Return one line for fingerprints."""
        mean, std = (" ".join(f"{value:g}" for value in row) for row in (self.mean, self.std))
        return f"{self.width}x{self.height} {self.resampling}, mean {mean}, std {std}"

    def resize(self, image: Image) -> NDArray[np.uint8]:
        """Squash one RGB uint8 image [h, w, 3] to [3, height, width], antialiased.

        Every image is resized on its own, so its batch cannot change it. Raises `ImageError` for
        anything that is not such an image.
        """
        check_rgb(image)
        kind = PIL.Image.Resampling[self.resampling.upper()]
        resized = PIL.Image.fromarray(image).resize((self.width, self.height), kind)
        return np.ascontiguousarray(np.asarray(resized).transpose(2, 0, 1))

    def normalize(self, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Turn [n, 3, height, width] into float32 of the statistics that a network knows."""
        mean, std = (
            np.array(row, np.float32)[:, None, None] * 255 for row in (self.mean, self.std)
        )
        normalized: NDArray[np.float32] = (batch.astype(np.float32) - mean) / std
        return normalized


def check_rgb(image: Image) -> None:
    """Raise `ImageError` for an array that is no RGB uint8 image [h, w, 3]."""
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise ImageError(
            f"cannot describe an array {list(image.shape)} of {image.dtype}:"
            " it must be RGB uint8 [h, w, 3]"
        )
