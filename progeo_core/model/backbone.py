"""Backbones by name: the visual towers of open_clip, and torchvision's MobileNetV2 trunk."""

from __future__ import annotations

import difflib
import enum
from pathlib import Path
from typing import Any, NamedTuple

import open_clip
import torch
import torchvision
from open_clip.modified_resnet import ModifiedResNet
from open_clip.timm_model import TimmModel
from open_clip.transformer import VisionTransformer
from torch import Tensor, nn

from progeo_core.errors import UsageError
from progeo_core.model.position_embedding import Grid, interpolate_position_embedding

# OpenAI trained with QuickGELU; the plain open_clip names would compute another function.
PROGEO_BACKBONES = {
    "CLIP-RN50": "RN50-quickgelu",
    "CLIP-RN101": "RN101-quickgelu",
    "CLIP-ViT-B-16": "ViT-B-16-quickgelu",
    "CLIP-ViT-B-32": "ViT-B-32-quickgelu",
}
# A small CLIP of our own in open_clip's parts.
CLIP_MOBILENET = "CLIP-MobileNetV2"
open_clip.add_model_config(Path(__file__).parent / "open_clip_configs")
MOBILENET = "MobileNetV2"
_MOBILENET_CHANNELS = 1280


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


def open_clip_name(name: str) -> str:
    """Return open_clip's name of a backbone, or raise `UsageError` that lists what is known."""
    name = PROGEO_BACKBONES.get(name, name)
    models = open_clip.list_models()
    if name in models:
        return name
    similar = difflib.get_close_matches(name, models)
    hint = f" (similar: {', '.join(similar)})" if similar else ""
    raise UsageError(
        f"unknown backbone '{name}': known are {', '.join(PROGEO_BACKBONES)}, {MOBILENET}"
        f" and the {len(models)} names of open_clip.list_models(){hint}"
    )


def blank_backbone(name: str) -> Backbone:
    """Build a backbone that only shows its names, shapes and kind: no memory, next to no time."""
    with torch.device("meta"):
        if name == MOBILENET:
            return build_mobilenet()
        return clip_backbone(build_clip(name, with_text=False))


def build_mobilenet() -> Backbone:
    """Build torchvision's MobileNetV2 trunk without its classifier and without weights."""
    trunk = torchvision.models.mobilenet_v2().features
    return Backbone(trunk, FeatureKind.MAP, _MOBILENET_CHANNELS, 512)


def build_clip(name: str, with_text: bool) -> nn.Module:
    """Build an open_clip model without weights: `.visual`, and `.text` or a small stand-in.

    Text towers of the transformers package always get the stand-in: they need a download.
    """
    config = clip_config(name)
    text = config["text_cfg"]
    if not with_text or "hf_model_name" in text:
        text = {"layers": 1, "width": 64, "heads": 1, "pool_type": "none"}
    clip: nn.Module = open_clip.CustomTextCLIP(
        config["embed_dim"], config["vision_cfg"], text, quick_gelu=config.get("quick_gelu", False)
    )
    return clip


def clip_backbone(clip: nn.Module) -> Backbone:
    """Return the visual tower of a model made by `build_clip`, with what it gives."""
    tower: Any = clip.visual
    size = tower.image_size if isinstance(tower.image_size, int) else tower.image_size[0]
    if isinstance(tower, ModifiedResNet):
        return Backbone(tower, FeatureKind.MAP, tower.layer4[-1].bn3.num_features, size)
    if isinstance(tower, TimmModel) and _gives_map(tower, size):
        return Backbone(tower, FeatureKind.MAP, tower.trunk.num_features, size)
    return Backbone(tower, FeatureKind.TOKEN, _embedding_length(tower, size), size)


def clip_config(name: str) -> dict[str, Any]:
    """Return open_clip's configuration of a backbone: embed_dim, vision_cfg, text_cfg, ..."""
    config: dict[str, Any] = open_clip.get_model_config(open_clip_name(name))
    return config


def feature_map(tower: nn.Module, images: Tensor) -> Tensor:
    """Compute the last feature map [n, C, h, w] of normalised images [n, 3, H, W]."""
    if isinstance(tower, ModifiedResNet):
        features: Tensor = tower.stem(images)
        for layer in (tower.layer1, tower.layer2, tower.layer3, tower.layer4):
            features = layer(features)
    elif isinstance(tower, TimmModel):
        features = tower.trunk.forward_features(images)
    else:
        features = tower(images)
    return features


def embedding(tower: nn.Module, images: Tensor) -> Tensor:
    """Compute CLIP's own image embedding [n, E], raw: attention pool or projected class token."""
    features = tower(images)
    # CoCa towers give their tokens beside the pooled vector.
    pooled: Tensor = features[0] if isinstance(features, tuple) else features
    return pooled


def resize_backbone(tower: nn.Module, height: int, width: int) -> None:
    """Fit a tower's position embedding to another image size; convolutional towers take any."""
    if isinstance(tower, VisionTransformer):
        patch_height, patch_width = tower.patch_size
        grid = Grid(height // patch_height, width // patch_width)
        old = tower.positional_embedding
        resampled = interpolate_position_embedding(old.detach(), grid)
        tower.positional_embedding = nn.Parameter(resampled, requires_grad=old.requires_grad)
        tower.image_size, tower.grid_size = (height, width), tuple(grid)
    elif isinstance(tower, TimmModel) and (height, width) != tuple(tower.image_size):
        tower.set_input_size((height, width))


def _gives_map(tower: TimmModel, image_size: int) -> bool:
    """Whether a timm tower's features are a map [n, C, h, w] and not tokens [n, t, C]."""
    with torch.no_grad():
        return bool(tower.eval().trunk.forward_features(_probe(tower, image_size)).ndim == 4)


def _embedding_length(tower: nn.Module, image_size: int) -> int:
    with torch.no_grad():
        return embedding(tower.eval(), _probe(tower, image_size)).shape[1]


def _probe(tower: nn.Module, image_size: int) -> Tensor:
    return torch.zeros(1, 3, image_size, image_size, device=next(tower.parameters()).device)
