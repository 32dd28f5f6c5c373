"""The network of XFeat (Potje et al., CVPR 2024), from pixels to its maps, in torch."""

from __future__ import annotations

from collections import OrderedDict

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from progeo_core.inference.batch_norm_fusion import fuse_batch_norms
from progeo_core.inference.xfeat_weights import WEIGHTS

# Pixels along each side of a cell of the network.
_CELL = 8


class XFeatNetwork(nn.Module):
    """XFeat with the weights that ship, prepared for inference: the same function in fewer steps.

    Besides what the paper's network computes it does what is left for each pixel and cell: the mean
    of the channels before, softmax and unit length after.
    """

    def __init__(self) -> None:
        super().__init__()
        network = _load()
        fuse_batch_norms(network)
        first, *others = network.keypoint_head
        network.keypoint_head = nn.Sequential(_of_cells(first), nn.ReLU(), *others)
        self._network = network.eval().requires_grad_(False)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the maps of RGB uint8 images [n, h, w, 3], whose sides are multiples of 32.

        Features of unit length [n, 64, h / 8, w / 8], the probability of a keypoint at each pixel
        [n, h, w], and the reliability of the features [n, 1, h / 8, w / 8].
        """
        network = self._network
        grey = network.norm(images.float().mean(dim=3)[:, None] / 255.0)
        fine = network.block2(network.block1(grey) + network.skip1(grey))
        third = network.block3(fine)
        fourth = network.block4(third)
        fifth = network.block5(fourth)
        features = network.block_fusion(third + _enlarged(fourth, 2) + _enlarged(fifth, 4))
        # Softmax over the channels, step by step: ONNX Runtime's own takes five times as long. The
        # last channel is that of no keypoint.
        logits = network.keypoint_head(grey)
        odds = torch.exp(logits - logits.amax(dim=1, keepdim=True))
        cells = odds[:, : _CELL * _CELL] / odds.sum(dim=1, keepdim=True)
        heat = F.pixel_shuffle(cells, _CELL)[:, 0]
        return F.normalize(features, dim=1), heat, network.heatmap_head(features)


def _of_cells(layer: nn.Module) -> nn.Conv2d:
    """Return a layer over the pixels of cells as one that cuts the image into cells itself."""
    (over_pixels,) = (part for part in layer.modules() if isinstance(part, nn.Conv2d))
    weight = over_pixels.weight.reshape(-1, 1, _CELL, _CELL)
    convolution = nn.Conv2d(1, len(weight), _CELL, stride=_CELL)
    convolution.load_state_dict({"weight": weight, "bias": over_pixels.bias})
    return convolution


def _enlarged(features: Tensor, times: int) -> Tensor:
    return F.interpolate(features, scale_factor=times, mode="bilinear", align_corners=False)


def _layer(inputs: int, outputs: int, kernel: int, stride: int) -> nn.Sequential:
    """Return a convolution, normalization by what training saw, and ReLU."""
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
    parts = convolution, nn.BatchNorm2d(outputs, affine=False), nn.ReLU(inplace=True)
    return nn.Sequential(OrderedDict(layer=nn.Sequential(*parts)))


class _PublishedNetwork(nn.Module):
    """Layers of XFeat (section 3.1 of the paper), under the names of the published weights."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.InstanceNorm2d(1)
        self.skip1 = nn.Sequential(nn.AvgPool2d(4), nn.Conv2d(1, 24, 1))
        self.block1 = _block(1, (4, 3, 1), (8, 3, 2), (8, 3, 1), (24, 3, 2))
        self.block2 = _block(24, (24, 3, 1), (24, 3, 1))
        self.block3 = _block(24, (64, 3, 2), (64, 3, 1), (64, 1, 1))
        self.block4 = _block(64, (64, 3, 2), (64, 3, 1), (64, 3, 1))
        self.block5 = _block(64, (128, 3, 2), (128, 3, 1), (128, 3, 1), (64, 1, 1))
        self.block_fusion = _block(64, (64, 3, 1), (64, 3, 1), end=64)
        self.heatmap_head = _block(64, (64, 1, 1), (64, 1, 1), end=1)
        self.heatmap_head.append(nn.Sigmoid())
        # Of the pixels of a cell; one output more than them, for no keypoint.
        self.keypoint_head = _block(64, (64, 1, 1), (64, 1, 1), (64, 1, 1), end=65)


def _block(inputs: int, *layers: tuple[int, int, int], end: int | None = None) -> nn.Sequential:
    """Return layers of (outputs, kernel, stride); `end`: outputs of a last 1 x 1 convolution."""
    block = nn.Sequential()
    for outputs, kernel, stride in layers:
        block.append(_layer(inputs, outputs, kernel, stride))
        inputs = outputs
    if end is not None:
        block.append(nn.Conv2d(inputs, end, 1))
    return block


def _load() -> _PublishedNetwork:
    network = _PublishedNetwork()
    weights = {name: value.float() for name, value in load_file(WEIGHTS).items()}
    missing, unexpected = network.load_state_dict(weights, strict=False)
    if unexpected or any(not name.endswith("num_batches_tracked") for name in missing):
        raise RuntimeError(f"{WEIGHTS}: not the weights of this network")
    return network.eval()
