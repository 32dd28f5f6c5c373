"""Dense features of an image, cell by cell, from a middle layer of the shipped MobileNetV2.

A descriptor pools its features over the whole image, which makes all parts of one corridor similar;
before pooling, in the middle of the network, the features still differ (as in Patch-NetVLAD,
Hausler 2021). They serve maps of every model, as they are computed from the thumbnails.
"""

from __future__ import annotations

import functools

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from progeo_core.images.codec import Image
from progeo_core.inference.batch_norm_fusion import fuse_batch_norms
from progeo_core.model.named_model import load_named_model
from progeo_core.model.preprocessing import Preprocessing
from progeo_core.verification.dense_similarity import GRID, Cells

# The MobileNetV2 that ships, whatever the default model is: the layers below are counted in it.
_NETWORK = "mobilenetv2-gem"
# Up to the last layer of 96 channels, where a cell has 16 pixels; the thumbnails have no more.
_LAYERS, _CELL_PX = 14, 16
_PREPROCESSING = Preprocessing(GRID * _CELL_PX, GRID * _CELL_PX, "bicubic")


@torch.inference_mode()
def find_cells(image: Image) -> Cells:
    """Return unit-length features [GRID * GRID, 96] of an RGB image [h, w, 3], row by row."""
    pixels = _PREPROCESSING.normalize(_PREPROCESSING.resize(image)[None])
    features = _trunk()(pixels.contiguous(memory_format=torch.channels_last))
    return np.asarray(F.normalize(features, dim=1)[0].flatten(1).T.contiguous().numpy(), np.float32)


@functools.cache
def _trunk() -> nn.Module:
    """Return the layers, which are loaded once for all maps."""
    backbone = load_named_model(_NETWORK).network.backbone
    trunk: nn.Module = nn.Sequential(*list(backbone.children())[:_LAYERS])
    trunk = trunk.eval().requires_grad_(False)
    fuse_batch_norms(trunk)
    return trunk.to(memory_format=torch.channels_last)
