"""The encoder that runs an exported network: ONNX Runtime, on its own or with TensorRT."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from progeo_core.descriptors.fingerprint import ModelFingerprint
from progeo_core.errors import ProgeoError
from progeo_core.images.codec import Image
from progeo_core.inference.runtime import TENSORRT, Variant
from progeo_core.model.model_card import ModelCard

# Of an execution provider.
Options: TypeAlias = dict[str, str | bool]
# From RGB uint8 [1, 3, height, width] to descriptors float32 [1, D], valid until the next call.
Infer: TypeAlias = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


class ExportedEncoder:
    """Encoder with a network in an ONNX file (see `export_onnx`)."""

    def __init__(self, card: ModelCard, infer: Infer) -> None:
        """Start from the card of the model and what computes its descriptors."""
        self._card, self._infer = card, infer
        self._one_at_a_time = threading.Lock()

    @classmethod
    def open(
        cls, card: ModelCard, path: Path, variant: Variant, device: torch.device
    ) -> ExportedEncoder:
        """Load the file into a runtime; `ProgeoError` where the runtime cannot run it."""
        try:
            return cls(card, _onnx_runtime(path, providers(path, variant, device)))
        except Exception as error:  # its error classes are not public
            reason = " ".join(str(error).split())[:200]
            raise ProgeoError(
                f"runtime '{variant.runtime}' cannot run {card.name} ({reason}): use runtime torch"
            ) from error

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
            pixels = self._card.preprocessing.resize(image)[None].numpy()
            with self._one_at_a_time:
                descriptors[row] = self._infer(pixels)[0]
        return descriptors


def providers(path: Path, variant: Variant, device: torch.device) -> list[tuple[str, Options]]:
    """Return ONNX Runtime's names of what runs a file, with options; the first one has to.

    The engines that TensorRT makes, for minutes at the first time, are kept beside the file.
    """
    if device.type != "cuda":
        return [("CPUExecutionProvider", {})]
    number = str(device.index or 0)
    cuda: tuple[str, Options] = ("CUDAExecutionProvider", {"device_id": number})
    if variant.runtime != TENSORRT:
        return [cuda]
    options: Options = {
        "device_id": number,
        "trt_fp16_enable": variant.precision == "float16",
        "trt_engine_cache_enable": True,
        "trt_engine_cache_path": str(path.parent),
    }
    # CUDA takes what TensorRT cannot express.
    return [("TensorrtExecutionProvider", options), cuda]


def _onnx_runtime(path: Path, wanted: list[tuple[str, Options]]) -> Infer:
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = torch.get_num_threads()
    # Threads that wait by spinning take the cores of a robot's other programs.
    settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # ONNX Runtime goes on without what it was not built for or cannot load.
    name = wanted[0][0]
    if name in onnxruntime.get_available_providers():
        session = onnxruntime.InferenceSession(path, settings, providers=wanted)
        if name in session.get_providers():
            return lambda pixels: session.run(["descriptors"], {"images": pixels})[0]
    raise RuntimeError(f"{name} is not here: it needs onnxruntime-gpu and NVIDIA's libraries")
