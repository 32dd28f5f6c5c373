"""The encoder that runs a network with torch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from progeo_core.fingerprint import ModelFingerprint
from progeo_core.images import Image
from progeo_core.model.batch_norm_fusion import fuse_batch_norms
from progeo_core.model.model_card import ModelCard
from progeo_core.model.model_folder import Model

# Images in the network at a time. On a CPU one keeps all cores busy, and its feature maps in the
# caches: batches of 8 take half as long again per image.
_CHUNK = {"cpu": 1, "cuda": 64}


class TorchEncoder:
    """Describe images with a network; takes the network over and prepares it for inference."""

    def __init__(self, model: Model, device: torch.device) -> None:
        self._card: ModelCard = model.card
        self._device = device
        self._network = model.network.eval().requires_grad_(False)
        fuse_batch_norms(self._network)
        self._network.to(device).to(memory_format=torch.channels_last)
        self._chunk = _CHUNK.get(device.type, 16)

    @property
    def fingerprint(self) -> ModelFingerprint:
        """Identify the model."""
        return self._card.fingerprint

    @property
    def device(self) -> torch.device:
        """Say where the network runs."""
        return self._device

    def encode(self, images: Sequence[Image]) -> NDArray[np.float32]:
        """Describe RGB uint8 images [h, w, 3] of any sizes as float32 [n, D], in order.

        Raises `ImageError` for an array that is no such image.
        """
        descriptors = np.empty((len(images), self.fingerprint.dimension), np.float32)
        for start in range(0, len(images), self._chunk):
            chunk = slice(start, start + self._chunk)
            descriptors[chunk] = self._encode_chunk(images[chunk])
        return descriptors

    @torch.inference_mode()
    def _encode_chunk(self, images: Sequence[Image]) -> NDArray[np.float32]:
        preprocessing = self._card.preprocessing
        pixels = torch.stack([preprocessing.resize(image) for image in images]).to(self._device)
        descriptors = self._network(preprocessing.normalize(pixels))
        if self._card.normalized:
            descriptors = F.normalize(descriptors, dim=1)
        return np.asarray(descriptors.cpu().numpy(), np.float32)
