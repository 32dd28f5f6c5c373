"""The ProGEO network: CLIP's visual tower, the pooling head, and CLIP's text side if wanted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from progeo_core.errors import UsageError
from progeo_core.model.aggregation import build_aggregation
from progeo_core.model.architecture import Architecture, Head
from progeo_core.model.backbone import (
    MOBILENET,
    Backbone,
    FeatureKind,
    build_mobilenet,
    embedding,
    feature_map,
)

if TYPE_CHECKING:
    from progeo_core.model.text_encoder import TextSide


class ProgeoNetwork(nn.Module):
    """Network that describes normalised images exactly as the authors' stage-2 network does.

    State keys are the authors': `backbone.*`, `aggregation.*`, and with a text side
    `token_embedding.*` and `text_encoder.*`.
    """

    def __init__(
        self,
        architecture: Architecture,
        tower: nn.Module,
        aggregation: nn.Sequential | None,
        text: TextSide | None,
    ) -> None:
        super().__init__()
        self.architecture = architecture
        self.backbone = tower
        self.aggregation = aggregation
        self.token_embedding = text.token_embedding if text else None
        self.text_encoder = text.encoder if text else None

    def forward(self, images: Tensor) -> Tensor:
        """Describe images [n, 3, h, w]: [n, D], of unit length except for token backbones (raw)."""
        if self.aggregation is None:
            return embedding(self.backbone, images)
        descriptors: Tensor = self.aggregation(feature_map(self.backbone, images))
        return descriptors

    def clip_features(self, images: Tensor) -> Tensor:
        """Compute stage 1's image features [n, E]: CLIP's own embedding, raw.

        Images must have the size that the tower was designed for (224 × 224 for CLIP's four).
        """
        return embedding(self.backbone, images)


def build_network(architecture: Architecture) -> ProgeoNetwork:
    """Build a network in evaluation mode, with random weights, for the backbone's native size.

    Raises `UsageError` for a head that the backbone cannot carry.
    """
    name = architecture.backbone
    text = None
    if name == MOBILENET:
        backbone = build_mobilenet()
    else:
        # Late, as open_clip takes seconds to import.
        from progeo_core.model.clip_backbone import build_clip, clip_backbone
        from progeo_core.model.text_encoder import text_side

        clip = build_clip(name, architecture.with_text)
        backbone = clip_backbone(clip)
        text = text_side(clip, name) if architecture.with_text else None
    _check(architecture, backbone)
    # Real even where the rest is on the meta device: backbone checkpoints come without a head.
    with torch.device("cpu"):
        aggregation = build_aggregation(architecture.head, backbone.width, architecture.dimension)
    return ProgeoNetwork(architecture, backbone.tower, aggregation, text).eval()


def build_blank_network(architecture: Architecture) -> ProgeoNetwork:
    """Build a network whose backbone and text side wait for weights, on no device yet.

    Skips the random initialisation, which takes longer than reading the weights does.
    """
    with torch.device("meta"):
        network = build_network(architecture)
    # Some towers hold computed buffers that no checkpoint has; only building for real fills them.
    saved = network.state_dict()
    if all(name in saved for name, _ in network.named_buffers()):
        return network
    return build_network(architecture)


def _check(architecture: Architecture, backbone: Backbone) -> None:
    """Raise `UsageError` where backbone, head and dimension do not go together."""
    name, head = architecture.backbone, architecture.head
    if (head is Head.TOKEN) != (backbone.kind is FeatureKind.TOKEN):
        raise UsageError(
            f"{name} gives a {backbone.kind.value}, which the head '{head.value}' cannot take"
        )
    if head is not Head.GEM_LINEAR and architecture.dimension != backbone.width:
        raise UsageError(
            f"{name} without a linear layer gives {backbone.width}-D descriptors,"
            f" not {architecture.dimension}-D"
        )
    if architecture.with_text and name == MOBILENET:
        raise UsageError(f"{name} has no text side: take one of CLIP's backbones")
