"""Colour jitter and random resized crop, drawn for every image by its own seed."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torchvision.transforms import v2

from progeo_core.train.settings import Stage2Settings


class Augmentation:
    """Colour jitter and random crop of images of any size, into one batch of squares.

    Each image has a seed of its own, so the result depends neither on the device's random numbers
    nor on how many processes or loaders there are.
    """

    def __init__(self, settings: Stage2Settings, device: torch.device) -> None:
        self.device = device
        self._transform = v2.Compose(
            [
                v2.ColorJitter(
                    brightness=settings.brightness,
                    contrast=settings.contrast,
                    saturation=settings.saturation,
                    hue=settings.hue,
                ),
                v2.RandomResizedCrop(
                    [settings.image_size, settings.image_size],
                    scale=(1 - settings.random_resized_crop, 1),
                    antialias=True,
                ),
            ]
        )

    def __call__(self, images: Sequence[Tensor], seeds: Sequence[int]) -> Tensor:
        """Return float32 [n, 3, size, size] of uint8 images [3, h, w], one seed each."""
        return torch.stack([self._augment(*pair) for pair in zip(images, seeds, strict=True)])

    def _augment(self, image: Tensor, seed: int) -> Tensor:
        values = image.to(self.device, non_blocking=True).float() / 255
        # The transforms draw from torch's global generator of the CPU.
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            augmented: Tensor = self._transform(values)
        return augmented
