"""Backbones by name: the visual towers of open_clip, and MobileNetV2's trunk.

open_clip is imported only for its own towers: that takes seconds.
"""

from __future__ import annotations

import contextlib
import enum
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn

from progeo_core.model.mobilenet import CHANNELS, MobileNetTrunk

# OpenAI trained with QuickGELU; the plain open_clip names would compute another function.
PROGEO_BACKBONES = {
    "CLIP-RN50": "RN50-quickgelu",
    "CLIP-RN101": "RN101-quickgelu",
    "CLIP-ViT-B-16": "ViT-B-16-quickgelu",
    "CLIP-ViT-B-32": "ViT-B-32-quickgelu",
}
# A small CLIP of our own in open_clip's parts.
CLIP_MOBILENET = "CLIP-MobileNetV2"
MOBILENET = "MobileNetV2"
# Stands for random weights, where weights are named.
NO_WEIGHTS = "none"


class FeatureKind(enum.Enum):
    """What a backbone gives: a map [n, C, h, w] to be pooled, or one vector [n, E]."""

    MAP = "map"
    TOKEN = "token"


class Backbone(NamedTuple):
    """Visual tower, what it gives, its channels C (or E), and the image side it expects."""

    tower: nn.Module
    kind: FeatureKind
    width: int
    image_size: int


def blank_backbone(name: str) -> Backbone:
    """Build a backbone that only shows its names, shapes and kind: no memory, next to no time."""
    with on_no_device(name):
        if name == MOBILENET:
            return build_mobilenet()
        from progeo_core.model.clip_backbone import build_clip, clip_backbone

        return clip_backbone(build_clip(name, with_text=False))


@contextlib.contextmanager
def on_no_device(name: str) -> Iterator[None]:
    """Let the modules of a backbone be built without numbers, which need memory and time."""
    if name != MOBILENET:
        # Its import makes tensors and reads them, which must be real.
        import progeo_core.model.clip_backbone  # noqa: F401
    with torch.device("meta"):
        yield


def build_mobilenet() -> Backbone:
    """Build MobileNetV2's trunk without weights."""
    return Backbone(MobileNetTrunk(), FeatureKind.MAP, CHANNELS, 512)


def feature_map(tower: nn.Module, images: Tensor) -> Tensor:
    """Compute the last feature map [n, C, h, w] of normalised images [n, 3, H, W]."""
    if isinstance(tower, MobileNetTrunk):
        features: Tensor = tower(images)
        return features
    from progeo_core.model.clip_backbone import clip_feature_map

    return clip_feature_map(tower, images)


def embedding(tower: nn.Module, images: Tensor) -> Tensor:
    """Compute CLIP's own image embedding [n, E], raw: attention pool or projected class token."""
    features = tower(images)
    # CoCa towers give their tokens beside the pooled vector.
    pooled: Tensor = features[0] if isinstance(features, tuple) else features
    return pooled


def resize_backbone(tower: nn.Module, height: int, width: int) -> None:
    """Fit a tower's position embedding to another image size; convolutional towers take any."""
    if not isinstance(tower, MobileNetTrunk):
        from progeo_core.model.clip_backbone import resize_clip

        resize_clip(tower, height, width)
