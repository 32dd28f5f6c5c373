"""From camera images to the tensors that a network takes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from progeo_core.errors import ImageError
from progeo_core.images.codec import Image

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
RESAMPLINGS = ("bilinear", "bicubic")
CPU = torch.device("cpu")


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

    def resize(self, image: Image, device: torch.device = CPU) -> Tensor:
        """Squash one RGB uint8 image [h, w, 3] to uint8 [3, height, width], antialiased.

        The result is on `device`. Every image is resized on its own, so its batch cannot change
        it. CUDA devices resize by themselves, as sending the camera's own pixels takes less time
        than resizing them does. Raises `ImageError` for anything that is not such an image.
        """
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
            raise ImageError(
                f"cannot describe an array {list(image.shape)} of {image.dtype}:"
                " it must be RGB uint8 [h, w, 3]"
            )
        # torch takes neither mirrored views nor read-only memory; other images are not copied.
        pixels = torch.from_numpy(np.require(image, requirements=["C", "W"]))
        if device.type != "cuda":
            return self._squashed(pixels.permute(2, 0, 1)[None])[0].to(device)
        sent = pixels.pin_memory().to(device, non_blocking=True)
        # GPUs resize floats only; the CPU rounds to whole steps, too.
        resized = self._squashed(sent.permute(2, 0, 1)[None].float())[0]
        return resized.round_().clamp_(0, 255).to(torch.uint8)

    def _squashed(self, pixels: Tensor) -> Tensor:
        size = [self.height, self.width]
        return F.interpolate(pixels, size, mode=self.resampling, antialias=True)

    def normalize(self, batch: Tensor) -> Tensor:
        """Turn uint8 [n, 3, height, width] into float32 of the statistics that a network knows."""
        mean = torch.tensor(self.mean, device=batch.device).view(3, 1, 1) * 255
        std = torch.tensor(self.std, device=batch.device).view(3, 1, 1) * 255
        return batch.to(torch.float32).sub_(mean).div_(std)
