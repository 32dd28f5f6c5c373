"""Visual towers of open_clip, by name; imported only for models that are made of them."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

import open_clip
import torch
from open_clip.modified_resnet import ModifiedResNet
from open_clip.timm_model import TimmModel
from open_clip.transformer import VisionTransformer
from torch import Tensor, nn

from progeo_core.errors import UsageError
from progeo_core.model.backbone import (
    MOBILENET,
    PROGEO_BACKBONES,
    Backbone,
    FeatureKind,
    embedding,
)
from progeo_core.model.position_embedding import Grid, interpolate_position_embedding

open_clip.add_model_config(Path(__file__).parent / "open_clip_configs")


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


def clip_feature_map(tower: nn.Module, images: Tensor) -> Tensor:
    """Compute the last feature map of a tower (see `feature_map`)."""
    if isinstance(tower, ModifiedResNet):
        features: Tensor = tower.stem(images)
        for layer in (tower.layer1, tower.layer2, tower.layer3, tower.layer4):
            features = layer(features)
    elif isinstance(tower, TimmModel):
        features = tower.trunk.forward_features(images)
    else:
        features = tower(images)
    return features


def resize_clip(tower: nn.Module, height: int, width: int) -> None:
    """Fit a tower's position embedding to another image size."""
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
