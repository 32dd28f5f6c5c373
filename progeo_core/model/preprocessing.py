"""From camera images to the tensors that a network takes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from progeo_core.errors import ImageError
from progeo_core.images import Image

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
RESAMPLINGS = ("bilinear", "bicubic")


class Preprocessing(NamedTuple):
    """State how images are squashed to one size and normalised.

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

    def resize(self, image: Image) -> Tensor:
        """Squash one RGB uint8 image [h, w, 3] to uint8 [3, height, width], antialiased.

        Every image is resized on its own, so its batch cannot change it. Raises `ImageError` for
        anything that is not such an image.
        """
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
            raise ImageError(
                f"cannot describe an array {list(image.shape)} of {image.dtype}:"
                " it must be RGB uint8 [h, w, 3]"
            )
        # torch takes neither mirrored views nor read-only memory; other images are not copied.
        pixels = torch.from_numpy(np.require(image, requirements=["C", "W"])).permute(2, 0, 1)
        size = [self.height, self.width]
        return F.interpolate(pixels[None], size, mode=self.resampling, antialias=True)[0]

    def normalize(self, batch: Tensor) -> Tensor:
        """Turn uint8 [n, 3, height, width] into float32 of the statistics that a network knows."""
        mean = torch.tensor(self.mean, device=batch.device).view(3, 1, 1) * 255
        std = torch.tensor(self.std, device=batch.device).view(3, 1, 1) * 255
        return batch.to(torch.float32).sub_(mean).div_(std)
