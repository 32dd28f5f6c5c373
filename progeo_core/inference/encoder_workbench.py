"""Encoders of one model as a trial of runtimes builds and asks them."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from progeo_core.descriptors.encoder import Encoder
from progeo_core.images.codec import Image
from progeo_core.inference.cached_export import CachedExport
from progeo_core.inference.exported_encoder import ExportedEncoder
from progeo_core.inference.onnx_export import write_onnx
from progeo_core.inference.runtime import TORCH, Variant
from progeo_core.inference.torch_encoder import TorchEncoder
from progeo_core.model.model_folder import Model


class EncoderWorkbench:
    """Builder of encoders of one model on one device (see `Workbench`)."""

    def __init__(self, model: Model, device: torch.device, onnx_file: Path) -> None:
        """Start from a model, which stays as it is, and the file that its export is written to."""
        self._model, self._device = model, device
        self._export = CachedExport(self.name, onnx_file, lambda path: write_onnx(model, path))

    @property
    def name(self) -> str:
        """Return the model's name."""
        return self._model.card.name

    def build(self, variant: Variant) -> Encoder:
        """Return the encoder of a variant; `ProgeoError` where it cannot be had."""
        if variant.runtime == TORCH:
            network = copy.deepcopy(self._model.network)
            model = self._model._replace(network=network)
            return TorchEncoder(model, self._device, variant.precision)
        return ExportedEncoder.open(self._model.card, self._export.file(), variant, self._device)

    def answers(self, built: Encoder, images: Sequence[Image]) -> NDArray[np.float32]:
        """Return the descriptors [t, D] of images."""
        return built.encode(images)

    def forget_export(self) -> None:
        """Let the export be written again."""
        self._export.forget()
