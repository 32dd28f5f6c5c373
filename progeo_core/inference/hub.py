"""Networks for programs that know torch and not this package: what `hubconf.py` offers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from progeo_core.descriptors.fingerprint import ModelFingerprint
from progeo_core.errors import UsageError
from progeo_core.images.codec import Image
from progeo_core.inference.pixels import normalize_pixels, resize_on
from progeo_core.model.built_in import DEFAULT_MODEL
from progeo_core.model.model_folder import Model
from progeo_core.model.named_model import load_named_model
from progeo_core.model.preprocessing import Preprocessing


def progeo(weights: str = DEFAULT_MODEL) -> DescriptorNetwork:
    """Return the network of a model that ships, a model folder or "BACKBONE[:PRETRAINED]".

    It is on the CPU, in evaluation mode and in float32. Raises as `load_named_model` does, and
    `UsageError` for a model that joins local features, which no network of one tensor finds.
    """
    loaded = load_named_model(weights)
    if loaded.head is not None:
        raise UsageError(
            f"{weights}: joins local features; take progeo_core.load_encoder('{weights}')"
        )
    return DescriptorNetwork(loaded).eval()


class DescriptorNetwork(nn.Module):
    """Network from normalised images to descriptors, and an encoder of arrays (see `Encoder`)."""

    def __init__(self, model: Model) -> None:
        """Take a model without a local head over."""
        super().__init__()
        self._card = model.card
        self.network = model.network

    @property
    def preprocessing(self) -> Preprocessing:
        """Return the size and the statistics of the images that the network was made for."""
        return self._card.preprocessing

    @property
    def fingerprint(self) -> ModelFingerprint:
        """Identify the model as its maps do, by whatever way it was loaded."""
        return self._card.fingerprint

    def forward(self, images: Tensor) -> Tensor:
        """Describe images [n, 3, h, w] of the statistics in `preprocessing` as [n, D].

        Images of another size are squashed to the network's. Descriptors are of unit length, except
        those of a model that says otherwise (the authors' ViTs).
        """
        seen = self.preprocessing
        if images.shape[2:] != (seen.height, seen.width):
            size = [seen.height, seen.width]
            images = F.interpolate(images, size, mode=seen.resampling, antialias=True)
        descriptors: Tensor = self.network(images)
        return F.normalize(descriptors, dim=1) if self._card.normalized else descriptors

    @torch.inference_mode()
    def encode(self, images: Sequence[Image]) -> NDArray[np.float32]:
        """Describe RGB uint8 images [h, w, 3] of any sizes as float32 [n, D], in order.

        Raises `ImageError` for an array that is no such image.
        """
        device, seen = next(self.parameters()).device, self.preprocessing
        descriptors = np.empty((len(images), self.fingerprint.dimension), np.float32)
        for row, image in enumerate(images):
            pixels = normalize_pixels(resize_on(device, image, seen)[None], seen)
            descriptors[row] = self(pixels)[0].cpu().numpy()
        return descriptors
