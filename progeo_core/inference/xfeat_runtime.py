"""What runs the network of XFeat: torch or ONNX Runtime, whichever is faster here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from progeo_core.atomic_file import replaced_file
from progeo_core.images.codec import Image
from progeo_core.inference.cached_export import CachedExport
from progeo_core.inference.device import AUTO
from progeo_core.inference.onnx_export import export_network
from progeo_core.inference.onnx_session import open_session
from progeo_core.inference.runtime import FLOAT32, TORCH, Variant
from progeo_core.inference.runtime_choice import choose_runtime
from progeo_core.inference.runtime_memory import exported_file
from progeo_core.inference.xfeat_network import MULTIPLE, XFeatNetwork, weights_hash

# From RGB uint8 images [n, h, w, 3] to the maps of `XFeatNetwork`, on any device.
Maps: TypeAlias = tuple[Tensor, Tensor, Tensor]
MapFinder: TypeAlias = Callable[[NDArray[np.uint8]], Maps]

# Of the graph in the ONNX file; a new number makes programs export it again.
_GRAPH = 2
_AXES = {
    "images": {0: "n", 1: "h", 2: "w"},
    "features": {0: "n", 2: "rows", 3: "columns"},
    "heat": {0: "n", 1: "h", 2: "w"},
    "reliability": {0: "n", 2: "rows", 3: "columns"},
}
# Width and height of the images of trials, about those of a camera's.
_TRIAL_SIZE = (544, 352)
# Trials compare every so many cells along each side, as the answers are kept in a file.
_TRIAL_STEP = 8


def choose_map_finder(device: torch.device, runtime: str = AUTO) -> MapFinder:
    """Return what finds the maps of images, as `choose_runtime` does, which says what it raises.

    All compute in float32: keypoints of lower precision move by pixels.
    """
    identity = f"XFeat {weights_hash()} {_GRAPH}"
    bench = XFeatWorkbench(device, exported_file(identity))
    return choose_runtime(bench, identity, device, runtime, (FLOAT32,))


class XFeatWorkbench:
    """Builder of what runs XFeat on one device (see `Workbench`)."""

    name = "XFeat"

    def __init__(self, device: torch.device, onnx_file: Path) -> None:
        """Take the file that the export is written to."""
        self._device = device
        self._export = CachedExport(self.name, onnx_file, _write_onnx)

    def build(self, variant: Variant) -> MapFinder:
        """Return what runs the network; `ProgeoError` where it cannot be had."""
        if variant.runtime == TORCH:
            return _of_torch(self._device)
        infer = open_session(self.name, self._export.file(), variant, self._device)
        return lambda images: _as_maps(infer(images))

    def answers(self, built: MapFinder, images: Sequence[Image]) -> NDArray[np.float32]:
        """Return the maps of images, every so many cells, as one vector [D] each."""
        rows = []
        for image in images:
            pixels = np.asarray(cv2.resize(image, _TRIAL_SIZE), np.uint8)
            features, heat, reliability = built(pixels[None])
            parts = (
                features[0, :, ::_TRIAL_STEP, ::_TRIAL_STEP],
                F.max_pool2d(heat, MULTIPLE),
                reliability[0, :, ::_TRIAL_STEP, ::_TRIAL_STEP],
            )
            rows.append(torch.cat([part.flatten() for part in parts]).cpu().numpy())
        return np.stack(rows)

    def forget_export(self) -> None:
        """Let the export be written again."""
        self._export.forget()


def _of_torch(device: torch.device) -> MapFinder:
    network = XFeatNetwork().to(device).to(memory_format=torch.channels_last)

    @torch.inference_mode()
    def find(images: NDArray[np.uint8]) -> Maps:
        features, heat, reliability = network(torch.from_numpy(images).to(device))
        return features, heat, reliability

    return find


def _as_maps(outputs: list[NDArray[np.float32]]) -> Maps:
    features, heat, reliability = (torch.from_numpy(output) for output in outputs)
    return features, heat, reliability


@torch.inference_mode()
def _write_onnx(path: Path) -> None:
    sample = torch.zeros(1, 2 * MULTIPLE, 3 * MULTIPLE, 3, dtype=torch.uint8)
    with replaced_file(path) as unfinished:
        export_network(XFeatNetwork(), sample, unfinished, _AXES)
