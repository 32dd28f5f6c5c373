"""Backbones with their weights, by name; imported only where one is named, as open_clip is slow."""

from __future__ import annotations

from progeo_core.errors import UsageError
from progeo_core.model.assembly import architecture_of, assemble
from progeo_core.model.backbone import MOBILENET, NO_WEIGHTS, blank_backbone, resize_backbone
from progeo_core.model.built_in import built_in_models
from progeo_core.model.clip_backbone import open_clip_name
from progeo_core.model.model_card import ModelCard
from progeo_core.model.model_folder import Model
from progeo_core.model.network import build_network
from progeo_core.model.pretrained import (
    backbone_of_weights,
    default_preprocessing,
    default_pretrained,
    pretrained_state,
)
from progeo_core.model.stored_model import CARD_FILE
from progeo_core.model.weights import sha256_of, visual_part


def load_backbone(model: str, *, with_text: bool = False) -> Model:
    """Load a backbone as "NAME[:PRETRAINED]" (see `load_named_model`)."""
    backbone, pretrained = split_backbone_name(model)
    pretrained = pretrained or default_pretrained(backbone)
    blank = blank_backbone(backbone)
    if pretrained == NO_WEIGHTS:
        network = build_network(architecture_of({}, backbone))
    else:
        state = pretrained_state(backbone, pretrained)
        if not with_text:
            state = visual_part(state)
        network = assemble(architecture_of(state, backbone), state, f"{backbone}:{pretrained}")
    preprocessing = default_preprocessing(backbone, pretrained, blank.image_size)
    resize_backbone(network.backbone, preprocessing.height, preprocessing.width)
    card = ModelCard(
        name=f"{backbone}:{pretrained}",
        architecture=network.architecture,
        preprocessing=preprocessing,
        weights_sha256=sha256_of(network.state_dict()),
    )
    return Model(card, network)


def split_backbone_name(model: str) -> tuple[str, str]:
    """Split "NAME[:PRETRAINED]" into the backbone to build and its weights.

    The backbone is the one that the weights were trained in (see `backbone_of_weights`). Raises
    `UsageError` that lists what is known for another name.
    """
    backbone, _, pretrained = model.partition(":")
    if backbone != MOBILENET:
        try:
            open_clip_name(backbone)
        except UsageError as error:
            shipped = ", ".join(built_in_models())
            raise UsageError(
                f"unknown model '{model}': models that ship are {shipped}; others are folders with"
                f" {CARD_FILE}, or backbones, and this is an {error}"
            ) from error
    return backbone_of_weights(backbone, pretrained), pretrained
