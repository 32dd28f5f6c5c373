"""Learned local features of images: XFeat (Potje et al., CVPR 2024), with the weights that ship."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from kornia.feature.xfeat import InterpolateSparse2d, XFeat, XFeatModel
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch.nn import functional as F

from progeo_core.images.codec import Image
from progeo_core.inference.device import choose_device

# Local features that are found in a query; a place of a map keeps fewer.
QUERY_FEATURES = 1024
# Larger images (pixels) are scaled down to this longest side: that costs time and gains nothing.
LONGEST_SIDE = 640
_WEIGHTS = Path(__file__).with_name("xfeat.safetensors")
# Sides that the network takes are multiples of this (pixels).
_MULTIPLE = 32
# The network's score that a keypoint needs, and the window (pixels) in which it is the highest.
_MIN_SCORE, _WINDOW_PX = 0.05, 5
# The network matches a batch of images of one size; more at once gain nothing on a CPU.
_BATCH = 8


class Keypoints(NamedTuple):
    """Local features of an image, the most reliable first.

    points: [n, 2] pixels of the image, whose size is (width, height). descriptors: [n, 64] of unit
    length.
    """

    points: NDArray[np.float32]
    descriptors: NDArray[np.float32]
    size: tuple[int, int]


class FeatureExtractor:
    """XFeat network on one device; `name` identifies the network and its weights."""

    def __init__(self, device: str = "auto") -> None:
        """Load the network; `UsageError` for a device that cannot be used."""
        self._device = choose_device(device)
        self._network = _network().to(self._device)
        self.name = f"xfeat-{_weights_hash()}"

    def find(
        self, images: Sequence[Image], count: int = QUERY_FEATURES, side: int | None = None
    ) -> list[Keypoints]:
        """Return the `count` best local features of each RGB image [h, w, 3].

        side: longest side (pixels) that images are scaled to; None shrinks large ones only.
        """
        found: list[Keypoints | None] = [None] * len(images)
        by_size: dict[tuple[int, int], list[int]] = {}
        for row, image in enumerate(images):
            by_size.setdefault((image.shape[1], image.shape[0]), []).append(row)
        for size, rows in by_size.items():
            for start in range(0, len(rows), _BATCH):
                batch = rows[start : start + _BATCH]
                pixels = np.stack([_scaled(images[row], size, side) for row in batch])
                for row, keypoints in zip(batch, self._of_batch(pixels, size, count), strict=True):
                    found[row] = keypoints
        return [keypoints for keypoints in found if keypoints is not None]

    @torch.inference_mode()
    def _of_batch(
        self, pixels: NDArray[np.uint8], size: tuple[int, int], count: int
    ) -> list[Keypoints]:
        height, width = pixels.shape[1:3]
        batch = torch.from_numpy(pixels).to(self._device).permute(0, 3, 1, 2).float() / 255.0
        features, logits, reliability = self._network(batch)
        features = F.normalize(features, dim=1)
        heat = XFeat._get_kpts_heatmap(logits)
        results = []
        for row in range(len(pixels)):
            position = XFeat._nms(heat[row : row + 1], _MIN_SCORE, _WINDOW_PX)[0]
            at = position[None].float()
            bilinear = InterpolateSparse2d("bilinear")
            trust = bilinear(reliability[row : row + 1], at, height, width)[0, :, 0]
            score = heat[row, 0, position[:, 1], position[:, 0]] * trust
            best = score.argsort(descending=True)[:count]
            refined = _refined(heat[row, 0], position[best])
            sampled = InterpolateSparse2d("bicubic")(
                features[row : row + 1], refined[None], height, width
            )[0]
            scale = np.array([size[0] / width, size[1] / height])
            points = (refined.cpu().numpy() + 0.5) * scale - 0.5
            descriptors = F.normalize(sampled, dim=-1).cpu().numpy()
            results.append(Keypoints(points.astype(np.float32), descriptors, size))
        return results


def _refined(heat: torch.Tensor, position: torch.Tensor) -> torch.Tensor:
    """Return positions [n, 2] moved to the top of a parabola through their neighbours' scores."""
    x, y = position[:, 0], position[:, 1]
    top = heat[y, x]
    offsets = []
    for before, after in ((heat[y, x - 1], heat[y, x + 1]), (heat[y - 1, x], heat[y + 1, x])):
        curvature = (2.0 * top - before - after).clamp_min(1e-9)
        offsets.append((0.5 * (after - before) / curvature).clamp(-0.5, 0.5))
    return position + torch.stack(offsets, dim=1)


def _scaled(image: Image, size: tuple[int, int], side: int | None) -> Image:
    """Return an image at a size that the network takes."""
    scale = min(1.0, LONGEST_SIDE / max(size)) if side is None else side / max(size)
    wanted = [max(_MULTIPLE, round(side * scale / _MULTIPLE) * _MULTIPLE) for side in size]
    if tuple(wanted) == size:
        return image
    kind = cv2.INTER_AREA if wanted[0] < size[0] else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, wanted, interpolation=kind), np.uint8)


@functools.cache
def _weights_hash() -> str:
    return hashlib.sha256(_WEIGHTS.read_bytes()).hexdigest()[:8]


def _network() -> XFeatModel:
    network = XFeatModel()
    # It serves the matching of dense features only, and its weights do not ship.
    del network.fine_matcher
    weights = {name: value.float() for name, value in load_file(_WEIGHTS).items()}
    missing, unexpected = network.load_state_dict(weights, strict=False)
    if unexpected or any(not name.endswith("num_batches_tracked") for name in missing):
        raise RuntimeError(f"{_WEIGHTS}: not the weights of this network")
    return network.eval().requires_grad_(False)
