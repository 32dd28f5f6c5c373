"""Backbones with their weights, by name; imported only where one is named, as open_clip is slow."""

from __future__ import annotations

import difflib
from typing import NamedTuple

from progeo_core.errors import UsageError
from progeo_core.model.assembly import architecture_of, assemble
from progeo_core.model.backbone import MOBILENET, NO_WEIGHTS, blank_backbone, resize_backbone
from progeo_core.model.built_in import built_in_models
from progeo_core.model.clip_backbone import open_clip_name
from progeo_core.model.hf_folder import read_hf_folder
from progeo_core.model.model_card import ModelCard
from progeo_core.model.model_folder import Model
from progeo_core.model.model_presets import PRESETS
from progeo_core.model.network import build_network
from progeo_core.model.preprocessing import Preprocessing
from progeo_core.model.pretrained import (
    backbone_of_weights,
    default_preprocessing,
    default_pretrained,
    pretrained_state,
)
from progeo_core.model.stored_model import CARD_FILE
from progeo_core.model.weights import sha256_of, visual_part


class NamedBackbone(NamedTuple):
    """What the name of a backbone with its weights means.

    backbone: the one to build, which the weights were trained in (see `backbone_of_weights`).
    pretrained: a tag or a file, "" where none was named. folder: "hf:FOLDER" where that was named.
    """

    backbone: str
    pretrained: str
    preprocessing: Preprocessing
    folder: str = ""


def load_backbone(model: str, *, with_text: bool = False) -> Model:
    """Load a backbone as "NAME[:PRETRAINED]" or "hf:FOLDER" (see `load_named_model`)."""
    named = name_backbone(model)
    backbone, pretrained = named.backbone, named.pretrained or default_pretrained(named.backbone)
    name = named.folder or f"{backbone}:{pretrained}"
    if pretrained == NO_WEIGHTS:
        network = build_network(architecture_of({}, backbone))
    else:
        state = pretrained_state(backbone, pretrained)
        if not with_text:
            state = visual_part(state)
        network = assemble(architecture_of(state, backbone), state, name)
    preprocessing = named.preprocessing
    resize_backbone(network.backbone, preprocessing.height, preprocessing.width)
    card = ModelCard(
        name=name,
        architecture=network.architecture,
        preprocessing=preprocessing,
        weights_sha256=sha256_of(network.state_dict()),
    )
    return Model(card, network)


def name_backbone(model: str) -> NamedBackbone:
    """Read "NAME[:PRETRAINED]" or "hf:FOLDER".

    Raises `UsageError` that lists what is known for another name, `DataError` for a folder that
    holds no model of open_clip.
    """
    folder = read_hf_folder(model)
    if folder is not None:
        return NamedBackbone(folder.backbone, str(folder.weights), folder.preprocessing, model)
    backbone, _, pretrained = model.partition(":")
    if backbone != MOBILENET:
        try:
            open_clip_name(backbone)
        except UsageError as error:
            shipped, published = built_in_models(), ", ".join(PRESETS)
            similar = difflib.get_close_matches(model, (*shipped, *PRESETS), n=1)
            hint = f" (did you mean {similar[0]}?)" if similar else ""
            raise UsageError(
                f"unknown model '{model}'{hint}: models that ship are {', '.join(shipped)};"
                f" presets are {published}; others are folders with {CARD_FILE}, addresses"
                f" (docs/models.md), or backbones, and this is an {error}"
            ) from error
    backbone = backbone_of_weights(backbone, pretrained)
    size = blank_backbone(backbone).image_size
    seen = default_preprocessing(backbone, pretrained, size)
    return NamedBackbone(backbone, pretrained, seen)
