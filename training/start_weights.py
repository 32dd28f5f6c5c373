"""Initial weights of progeo-tiny: ImageNet's trunk in a small CLIP."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from progeo_core.images.codec import read_image
from progeo_core.model.architecture import Architecture, Head
from progeo_core.model.backbone import CLIP_MOBILENET, build_mobilenet, feature_map
from progeo_core.model.network import ProgeoNetwork, build_network
from progeo_core.model.weights import read_state, to_network_names, visual_part
from progeo_core.train.augmentation import Augmentation
from progeo_core.train.settings import Stage2Settings
from progeo_core.train.towers import normalize

DIMENSION = 1280
_FRAMES = 600
_SEEDS = (0, 1)
# Added to the variances, in units of their mean: how far from the data's noise to no whitening.
_SHRINKAGE = 1.0


def imagenet_clip(mobilenet: Path) -> ProgeoNetwork:
    """Return ImageNet's trunk with GeM and a projection that changes nothing.

    The text side is random; it has never seen language, and stage 1 finds prompts that it turns
    into the features of the classes.
    """
    torch.manual_seed(0)
    network = build_network(Architecture(CLIP_MOBILENET, Head.GEM_LINEAR, DIMENSION, True))
    text: Any = network.text_encoder
    torch.nn.init.orthogonal_(text.text_projection)
    source = build_mobilenet().tower
    weights = visual_part(to_network_names(read_state(mobilenet)))
    source.load_state_dict({name.removeprefix("backbone."): w for name, w in weights.items()})
    # timm holds the same layers in the same order, under other names.
    trunk: Any = network.backbone.trunk
    trunk.load_state_dict(dict(zip(trunk.state_dict(), source.state_dict().values(), strict=True)))
    set_projection(network, torch.eye(DIMENSION))
    return network.eval()


def set_projection(network: ProgeoNetwork, weight: Tensor) -> None:
    """Set the linear layer of the head to weight [D, C] without bias."""
    head: Any = network.aggregation
    with torch.no_grad():
        head[3].weight.copy_(weight)
        head[3].bias.zero_()


def whitening(
    network: ProgeoNetwork, places: Sequence[Sequence[Path]], settings: Stage2Settings
) -> Tensor:
    """Return the projection [C, C] that whitens the differences between views of one place.

    The views are `settings`' augmentations of every image of a place. Within-class covariance
    normalisation (Hatch, Kajarekar, Stolcke 2006), shrunk towards the identity.
    """
    chosen = np.linspace(0, len(places) - 1, min(_FRAMES, len(places))).astype(int)
    augment = Augmentation(settings, torch.device("cpu"))
    views = torch.stack([_pooled_views(network, places[row], augment) for row in chosen])
    noise = (views - views.mean(dim=1, keepdim=True)).flatten(0, 1).double()
    variance, axes = torch.linalg.eigh(noise.T @ noise / len(noise))
    gain = (variance.clamp(min=0) / variance.mean() + _SHRINKAGE).rsqrt()
    weight: Tensor = (axes * (gain / gain.max())) @ axes.T
    return weight.float()


@torch.no_grad()
def _pooled_views(network: ProgeoNetwork, place: Sequence[Path], augment: Augmentation) -> Tensor:
    """Return what the linear layer gets of the views of one place, [views, C] of unit length."""
    images = [torch.from_numpy(read_image(path).copy()).permute(2, 0, 1) for path in place]
    batch = torch.cat([augment(images, [seed] * len(images)) for seed in _SEEDS])
    head: Any = network.aggregation
    pooled = head[:3](feature_map(network.backbone, normalize(batch)))
    unit: Tensor = torch.nn.functional.normalize(pooled)
    return unit
