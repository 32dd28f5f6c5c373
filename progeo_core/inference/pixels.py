"""Images as tensors on the device where a network in torch reads them."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from progeo_core.images.codec import Image
from progeo_core.model.preprocessing import Preprocessing, check_rgb


def resize_on(device: torch.device, image: Image, seen: Preprocessing) -> Tensor:
    """Squash one RGB uint8 image [h, w, 3] to uint8 [3, height, width] on a device, antialiased.

    torch does on the CPU what Pillow does for `Preprocessing.resize`, which says what this raises,
    to one step of 255, in less time. CUDA devices resize by themselves, as sending the camera's own
    pixels takes less time than resizing them does.
    """
    check_rgb(image)
    # torch takes neither mirrored views nor read-only memory; other images are not copied.
    pixels = torch.from_numpy(np.require(image, requirements=["C", "W"]))
    if device.type != "cuda":
        size = (seen.height, seen.width)
        return _squashed(pixels.permute(2, 0, 1)[None], size, seen)[0].to(device)
    sent = pixels.pin_memory().to(device, non_blocking=True)
    return squash_floats(sent.permute(2, 0, 1)[None].float(), seen)[0].to(torch.uint8)


def squash_floats(pixels: Tensor, seen: Preprocessing) -> Tensor:
    """Squash float32 [n, 3, h, w] of 0-255 to whole values of 0-255 [n, 3, height, width].

    GPUs resize floats only. On the CPU, torch and Pillow resize bytes one axis after the other, the
    width first, and what lies between is bytes, too: bicubic weights overshoot at edges, and the
    second axis sees that cut off. Hence whole values between the axes here as well.
    """
    height = pixels.shape[2]
    widened = _squashed(pixels, (height, seen.width), seen).round_().clamp_(0, 255)
    return _squashed(widened, (seen.height, seen.width), seen).round_().clamp_(0, 255)


def _squashed(pixels: Tensor, size: tuple[int, int], seen: Preprocessing) -> Tensor:
    return F.interpolate(pixels, size, mode=seen.resampling, antialias=True)


def normalize_pixels(batch: Tensor, seen: Preprocessing) -> Tensor:
    """Turn uint8 [n, 3, height, width] into float32 of the statistics that a network knows."""
    mean = torch.tensor(seen.mean, device=batch.device).view(3, 1, 1) * 255
    std = torch.tensor(seen.std, device=batch.device).view(3, 1, 1) * 255
    return batch.to(torch.float32).sub_(mean).div_(std)
