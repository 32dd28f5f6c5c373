"""Random resized crop and colour jitter, drawn for every image by its own seed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor
from torchvision.transforms import v2

from progeo_core.train.settings import Stage2Settings

# Added to a seed, so that the colours do not follow from the crop.
_JITTER = 1 << 31


class Augmentation:
    """Random crop and colour jitter of images of any size, into one batch of squares.

    Each image has a seed of its own, so the result depends neither on the device's random numbers
    nor on how many processes or loaders there are. The crop is cut from the original pixels and
    scaled once, so that it is as sharp as they are. The authors jitter before they crop; here the
    contrast's mean grey is that of the crop, and large photos take no longer than small ones.
    """

    def __init__(self, settings: Stage2Settings, device: torch.device) -> None:
        self.device = device
        self._crop = v2.RandomResizedCrop(
            [settings.image_size, settings.image_size],
            scale=(1 - settings.random_resized_crop, 1),
            antialias=True,
        )
        self._jitter = v2.ColorJitter(
            brightness=settings.brightness,
            contrast=settings.contrast,
            saturation=settings.saturation,
            hue=settings.hue,
        )

    def __call__(self, images: Sequence[Tensor], seeds: Sequence[int]) -> Tensor:
        """Return float32 [n, 3, size, size], values 0-1, of images [3, h, w] and their seeds."""
        crops = [self.crop(image, seed) for image, seed in zip(images, seeds, strict=True)]
        return self.jitter(torch.stack(crops), seeds)

    def crop(self, image: Tensor, seed: int) -> Tensor:
        """Return a random crop uint8 [3, size, size] of an image [3, h, w], on the CPU."""
        with _seeded(seed):
            square: Tensor = self._crop(image)
        return square

    def jitter(self, crops: Tensor, seeds: Sequence[int]) -> Tensor:
        """Return crops uint8 [n, 3, size, size] as float32, values 0-1, with jittered colours."""
        values = crops.to(self.device, non_blocking=True).float() / 255
        jittered = []
        for value, seed in zip(values, seeds, strict=True):
            with _seeded(seed + _JITTER):
                jittered.append(self._jitter(value))
        return torch.stack(jittered)


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seed torch's global generator of the CPU, which the transforms draw from, for a block."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield
