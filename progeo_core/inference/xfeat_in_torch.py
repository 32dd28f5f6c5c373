"""XFeat in torch: what runs it there, and its export."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from progeo_core.atomic_file import replaced_file
from progeo_core.inference.onnx_export import export_network
from progeo_core.inference.xfeat_keypoints import KeypointNetwork, find_keypoints
from progeo_core.inference.xfeat_network import XFeatNetwork
from progeo_core.inference.xfeat_weights import MULTIPLE

_AXES = {
    "images": {1: "h", 2: "w"},
    "count": {},
    "features": {2: "rows", 3: "columns"},
    "heat": {1: "h", 2: "w"},
    "reliability": {2: "rows", 3: "columns"},
    "keypoints": {0: "m"},
}


class XFeatInTorch:
    """XFeat on one device (see `XFeat`)."""

    def __init__(self, device: torch.device) -> None:
        """Load the network."""
        self._device = device
        self._network = XFeatNetwork().to(device).to(memory_format=torch.channels_last)

    @torch.inference_mode()
    def maps(self, image: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        """Return the maps of one image."""
        maps = self._network(torch.from_numpy(image[None]).to(self._device))
        return [np.asarray(one[0].cpu().numpy(), np.float32) for one in maps]

    @torch.inference_mode()
    def keypoints(self, images: NDArray[np.uint8], count: int) -> list[NDArray[np.float32]]:
        """Return the best keypoints of each image."""
        features, heat, reliability = self._network(torch.from_numpy(images).to(self._device))
        found = [
            find_keypoints(*maps, count) for maps in zip(features, heat, reliability, strict=True)
        ]
        # One copy from the device for all images.
        values = np.asarray(torch.cat(found).cpu().numpy(), np.float32)
        return np.split(values, np.cumsum([len(rows) for rows in found])[:-1])


@torch.inference_mode()
def export_xfeat(path: Path) -> None:
    """Write the network with its keypoints as ONNX, for one image at a time."""
    sample = torch.zeros(1, 2 * MULTIPLE, 3 * MULTIPLE, 3, dtype=torch.uint8)
    with replaced_file(path) as unfinished:
        export_network(KeypointNetwork(), (sample, torch.tensor(64)), unfinished, _AXES)
