"""Keypoints in the maps of XFeat's network, in torch; ONNX Runtime has them in the same file."""

from __future__ import annotations

import functools

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from progeo_core.inference.xfeat_network import XFeatNetwork

# The probability that a keypoint needs, and how far (pixels) around it is the highest.
_MIN_HEAT, _REACH_PX = 0.05, 2


class KeypointNetwork(nn.Module):
    """Network from one image to its maps and its keypoints, for an export."""

    def __init__(self) -> None:
        super().__init__()
        self._network = XFeatNetwork()

    def forward(self, images: Tensor, count: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return the maps of an image [1, h, w, 3], and its `count` [] best keypoints [m, 66]."""
        features, heat, reliability = self._network(images)
        found = find_keypoints(features[0], heat[0], reliability[0], count)
        return features, heat, reliability, found


def find_keypoints(
    features: Tensor, heat: Tensor, reliability: Tensor, count: int | Tensor
) -> Tensor:
    """Return the `count` best keypoints [m, 2 + 64] of an image in its maps, the best first.

    In each row stand the position (pixels of the network's image) and the descriptor, which is not
    yet of unit length. features: [64, h / 8, w / 8]. heat: [h, w]. reliability:
    [1, h / 8, w / 8], which the heat is multiplied by.
    """
    height, width = heat.shape
    peaks = _peaks(heat).nonzero()
    y, x = peaks[:, 0], peaks[:, 1]
    trust = _sampled(reliability, peaks.flip(1).float(), height, width, "bilinear")[:, 0]
    best = (heat[y, x] * trust).sort(descending=True).indices[:count]
    position = _refined(heat, x[best], y[best])
    # Where the values of a cell lie together, sampling takes half the time.
    rows = features[None].contiguous(memory_format=torch.channels_last)[0]
    return torch.cat([position, _sampled(rows, position, height, width, "bicubic")], dim=1)


def _sampled(maps: Tensor, positions: Tensor, height: int, width: int, mode: str) -> Tensor:
    """Return the values [n, c] of maps [c, h / 8, w / 8] at pixels [n, 2] of an image.

    The first and last pixels of a side are read at the outer edges of the maps, as in training.
    """
    across, down = positions[:, 0] / (width - 1.0), positions[:, 1] / (height - 1.0)
    grid = (2.0 * torch.stack([across, down], dim=1) - 1.0)[None, None].to(maps.dtype)
    return F.grid_sample(maps[None], grid, mode=mode, align_corners=False)[0, :, 0].T


def _peaks(heat: Tensor) -> Tensor:
    """Return which pixels of a map [h, w] are the highest within `_REACH_PX`, off its border."""
    side, reach = 2 * _REACH_PX + 1, _REACH_PX
    ends = [(first, first - side + 1 or None) for first in range(side)]
    highest = functools.reduce(torch.maximum, [heat[first:last] for first, last in ends])
    highest = functools.reduce(torch.maximum, [highest[:, first:last] for first, last in ends])
    inner = heat[reach:-reach, reach:-reach]
    return F.pad((inner >= highest) & (inner > _MIN_HEAT), (reach,) * 4)


def _refined(heat: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Return positions [n, 2] moved to the top of a parabola through their neighbours' scores."""
    top = heat[y, x]
    offsets = []
    for before, after in ((heat[y, x - 1], heat[y, x + 1]), (heat[y - 1, x], heat[y + 1, x])):
        curvature = (2.0 * top - before - after).clamp_min(1e-9)
        offsets.append((0.5 * (after - before) / curvature).clamp(-0.5, 0.5))
    return torch.stack([x + offsets[0], y + offsets[1]], dim=1)
