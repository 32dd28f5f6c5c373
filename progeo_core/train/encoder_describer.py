"""How an encoder of the localizer describes image files, so that evaluation takes any model."""

from __future__ import annotations

import torch
from torch import Tensor

from progeo_core.descriptors.encoder import Encoder
from progeo_core.inference.loading import load_encoder
from progeo_core.train.descriptors import Describer
from progeo_core.train.settings import EvaluationSettings


def load_describer(settings: EvaluationSettings, device: torch.device) -> Describer:
    """Load the model that `--model` names; `load_encoder` says what it raises."""
    encoder = load_encoder(settings.model, str(device), trust_code=settings.trust_code)
    return encoder_describer(encoder, settings.infer_batch_size)


def encoder_describer(encoder: Encoder, batch_size: int) -> Describer:
    """Return the describer of whole images, which the encoder prepares by itself."""

    def encode(images: Tensor) -> Tensor:
        return torch.from_numpy(encoder.encode(list(images.permute(0, 2, 3, 1).numpy())))

    fingerprint = encoder.fingerprint
    return Describer(
        lambda image: image, encode, fingerprint.dimension, f"model, {fingerprint}", batch_size
    )
