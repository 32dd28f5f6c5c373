"""The encoder that runs a network with torch."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from progeo_core.descriptors.fingerprint import ModelFingerprint
from progeo_core.images.codec import Image
from progeo_core.inference.batch_norm_fusion import fuse_batch_norms
from progeo_core.inference.cuda_graph import CudaGraph
from progeo_core.inference.pixels import normalize_pixels, resize_on
from progeo_core.inference.runtime import FLOAT32, TORCH, Variant
from progeo_core.model.model_card import ModelCard
from progeo_core.model.model_folder import Model
from progeo_core.model.network import ProgeoNetwork

# Images in the network at a time. On a CPU one keeps all cores busy, and its feature maps in the
# caches: batches of 8 take half as long again per image.
_CHUNK = {"cpu": 1, "cuda": 64}

_log = logging.getLogger(__name__)


class TorchEncoder:
    """Encoder with a network in torch; takes the network over and prepares it for inference.

    Where a GPU's memory is full, it goes on with fewer images at a time, and at last on the CPU.
    """

    def __init__(self, model: Model, device: torch.device, precision: str = FLOAT32) -> None:
        """Start from a model, where it runs, and the precision of its backbone in torch's words."""
        self._card: ModelCard = model.card
        self._network = model.network.eval().requires_grad_(False)
        fuse_batch_norms(self._network)
        _keep_head_in_float32(self._network)
        self._chunk = _CHUNK.get(device.type, 16)
        # The memory of a graph serves one image at a time.
        self._one_at_a_time = threading.Lock()
        self._graph: CudaGraph | None = None
        self._place(device, getattr(torch, precision))

    @property
    def fingerprint(self) -> ModelFingerprint:
        """Identify the model."""
        return self._card.fingerprint

    @property
    def runs_in(self) -> str:
        """Return the runtime and the precision."""
        return str(Variant(TORCH, str(self._type).removeprefix("torch.")))

    @property
    def device(self) -> torch.device:
        """Return where the network runs."""
        return self._device

    def encode(self, images: Sequence[Image]) -> NDArray[np.float32]:
        """Describe RGB uint8 images [h, w, 3] of any sizes as float32 [n, D], in order.

        Raises `ImageError` for an array that is no such image.
        """
        descriptors = np.empty((len(images), self.fingerprint.dimension), np.float32)
        start = 0
        while start < len(images):
            chunk = images[start : start + self._chunk]
            try:
                descriptors[start : start + len(chunk)] = self._encode_chunk(chunk)
                start += len(chunk)
                continue
            except torch.cuda.OutOfMemoryError:
                pass
            # Only here, as the error keeps the tensors of the calls that it came through.
            self._take_less_memory()
        return descriptors

    @torch.inference_mode()
    def _encode_chunk(self, images: Sequence[Image]) -> NDArray[np.float32]:
        seen = self._card.preprocessing
        resized = [resize_on(self._device, image, seen) for image in images]
        pixels = normalize_pixels(torch.stack(resized), seen).to(self._type)
        pixels = pixels.contiguous(memory_format=torch.channels_last)
        if self._graphs and len(images) == 1:
            with self._one_at_a_time:
                return np.asarray(self._replay(pixels).cpu().numpy(), np.float32)
        return np.asarray(self._run(pixels).cpu().numpy(), np.float32)

    def _run(self, pixels: Tensor) -> Tensor:
        descriptors = self._network(pixels).float()
        return F.normalize(descriptors, dim=1) if self._card.normalized else descriptors

    def _replay(self, pixels: Tensor) -> Tensor:
        """Run the network on one image by its graph, which is recorded at the first one."""
        try:
            if self._graph is None:
                self._graph = CudaGraph(self._run, pixels)
        except torch.cuda.OutOfMemoryError:
            raise
        except RuntimeError as error:
            reason = str(error).partition("\n")[0]
            _log.info("%s runs without a CUDA graph: %s", self._card.name, reason)
            self._graphs = False
            return self._run(pixels)
        return self._graph.replay(pixels)

    def _place(self, device: torch.device, kind: torch.dtype) -> None:
        self._device, self._type = device, kind
        self._graph = None
        self._graphs = device.type == "cuda"
        self._network.to(device).to(memory_format=torch.channels_last)
        self._network.backbone.to(kind)

    def _take_less_memory(self) -> None:
        """Halve the batches, said at the first time; below one image, move to the CPU."""
        torch.cuda.empty_cache()
        if self._chunk == _CHUNK["cuda"]:
            _log.warning("%s: its memory is full, going on in smaller batches", self._device)
        if self._chunk > 1:
            self._chunk //= 2
            return
        _log.warning("%s: its memory holds not even one image, going on on the CPU", self._device)
        self._place(torch.device("cpu"), torch.float32)


def _keep_head_in_float32(network: ProgeoNetwork) -> None:
    """Let the head read the backbone's map in float32: powers and sums need the digits."""
    if network.aggregation is not None:
        network.aggregation.register_forward_pre_hook(_in_float32)


def _in_float32(module: torch.nn.Module, arguments: tuple[Tensor]) -> tuple[Tensor]:
    return (arguments[0].float(),)
