"""From named weights to the network that they belong to."""

from __future__ import annotations

import math

from torch import Tensor

from progeo_core.model.architecture import Architecture, Head
from progeo_core.model.backbone import Backbone, FeatureKind, blank_backbone, resize_backbone
from progeo_core.model.network import ProgeoNetwork, build_blank_network
from progeo_core.model.weights import State, has_text, load_weights

_PROJECTION = "aggregation.3.weight"
_POSITIONS = ("positional_embedding", "trunk.pos_embed")
_CONVOLUTIONAL_SIZE = 512  # ProGEO's training and test images


def architecture_of(state: State, backbone: str) -> Architecture:
    """Read off the weights what follows the backbone, and whether the text side is there."""
    blank = blank_backbone(backbone)
    if blank.kind is FeatureKind.TOKEN:
        head, dimension = Head.TOKEN, blank.width
    elif _PROJECTION in state:
        head, dimension = Head.GEM_LINEAR, len(state[_PROJECTION])
    else:
        head, dimension = Head.GEM, blank.width
    return Architecture(backbone, head, dimension, has_text(state))


def image_size_of(state: State, backbone: Backbone) -> int:
    """Read the side of the square images off the position embedding; 512 where there is none."""
    native = backbone.tower.state_dict()
    for name in _POSITIONS:
        if name in native and f"backbone.{name}" in state:
            scale = _grid_side(state[f"backbone.{name}"]) / _grid_side(native[name])
            return round(backbone.image_size * scale)
    return _CONVOLUTIONAL_SIZE if backbone.kind is FeatureKind.MAP else backbone.image_size


def assemble(architecture: Architecture, state: State, source: str) -> ProgeoNetwork:
    """Build the network for the image size that the weights are for, and load them.

    Backbone weights may come without a head, which is then as initialised. Raises
    `ModelMismatchError` naming `source` for weights of another network.
    """
    network = build_blank_network(architecture)
    size = image_size_of(state, blank_backbone(architecture.backbone))
    resize_backbone(network.backbone, size, size)
    load_weights(network, state, source, optional=("aggregation.",))
    return network


def _grid_side(embedding: Tensor) -> int:
    """Return the side of a square grid from its position embedding [..., n, C] or [..., 1 + n, C].

    The class token's row does not change the whole part of the square root.
    """
    return math.isqrt(embedding.shape[-2])
