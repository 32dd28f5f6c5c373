"""Encoders of one model as a trial of runtimes builds and asks them."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from progeo_core.descriptors.encoder import Encoder
from progeo_core.images.codec import Image
from progeo_core.inference.cached_export import CachedExport
from progeo_core.inference.device import Device
from progeo_core.inference.exported_encoder import ExportedEncoder
from progeo_core.inference.runtime import TORCH, Variant
from progeo_core.model.model_card import ModelCard

if TYPE_CHECKING:
    from progeo_core.model.model_folder import Model


class EncoderWorkbench:
    """Builder of encoders of one model on one device (see `Workbench`).

    torch is imported, and the model loaded, for what runs in torch and for a new export alone.
    """

    def __init__(
        self, card: ModelCard, load: Callable[[], Model], device: Device, onnx_file: Path
    ) -> None:
        """Start from the card, what loads the model, and the file that its export is written to."""
        self._card, self._device = card, device
        self._load = functools.cache(load)
        self._export = CachedExport(self.name, onnx_file, self._write)

    @property
    def name(self) -> str:
        """Return the model's name."""
        return self._card.name

    def build(self, variant: Variant) -> Encoder:
        """Return the encoder of a variant; `ProgeoError` where it cannot be had."""
        if variant.runtime != TORCH:
            return ExportedEncoder.open(self._card, self._export.file(), variant, self._device)
        from progeo_core.inference.device import choose_device
        from progeo_core.inference.torch_encoder import TorchEncoder

        model = self._load()
        model = model._replace(network=copy.deepcopy(model.network))
        return TorchEncoder(model, choose_device(str(self._device)), variant.precision)

    def answers(self, built: Encoder, images: Sequence[Image]) -> NDArray[np.float32]:
        """Return the descriptors [t, D] of images."""
        return built.encode(images)

    def forget_export(self) -> None:
        """Let the export be written again."""
        self._export.forget()

    def _write(self, path: Path) -> None:
        from progeo_core.inference.onnx_export import write_onnx

        write_onnx(self._load(), path)
