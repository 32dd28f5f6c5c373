"""Images as tensors, without those that are too small to describe a place."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from progeo_core.errors import ImageError
from progeo_core.images.codec import Image

# The stride of a ResNet: a smaller image has no cell at its last layer.
_MIN_SIDE = 32


def to_pixels(image: Image, path: Path) -> Tensor | ImageError:
    """Return an image [h, w, 3] as a tensor [3, h, w] uint8, or why it cannot be used."""
    height, width = image.shape[:2]
    if min(height, width) < _MIN_SIDE:
        return ImageError(
            f"{path}: {width} x {height} pixels are too few, {_MIN_SIDE} a side are needed"
        )
    return torch.from_numpy(image).permute(2, 0, 1)
