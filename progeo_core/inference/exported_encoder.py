"""The encoder that runs an exported network."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from progeo_core.descriptors.fingerprint import ModelFingerprint
from progeo_core.images.codec import Image
from progeo_core.inference.device import Device
from progeo_core.inference.onnx_session import Run, open_session
from progeo_core.inference.runtime import Variant
from progeo_core.model.model_card import ModelCard


class ExportedEncoder:
    """Encoder with a network in an ONNX file (see `export_onnx`)."""

    def __init__(self, card: ModelCard, run: Run, variant: Variant) -> None:
        """Start from the card of the model, what computes its descriptors, and how it does."""
        self._card, self._run = card, run
        self.runs_in = str(variant)
        self._one_at_a_time = threading.Lock()

    @classmethod
    def open(cls, card: ModelCard, path: Path, variant: Variant, device: Device) -> ExportedEncoder:
        """Load the file into a runtime; `ProgeoError` where the runtime cannot run it."""
        return cls(card, open_session(card.name, path, variant, device), variant)

    @property
    def fingerprint(self) -> ModelFingerprint:
        """Identify the model."""
        return self._card.fingerprint

    def encode(self, images: Sequence[Image]) -> NDArray[np.float32]:
        """Describe RGB uint8 images [h, w, 3] of any sizes as float32 [n, D], in order.

        Raises `ImageError` for an array that is no such image.
        """
        descriptors = np.empty((len(images), self.fingerprint.dimension), np.float32)
        for row, image in enumerate(images):
            pixels = self._card.preprocessing.resize(image)[None]
            with self._one_at_a_time:
                descriptors[row] = self._run({"images": pixels})[0][0]
        return descriptors
