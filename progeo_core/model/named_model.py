"""Models by name: those that ship, model folders, and backbones with their weights."""

from __future__ import annotations

from pathlib import Path

from progeo_core.errors import DataError, UsageError
from progeo_core.model.assembly import architecture_of, assemble
from progeo_core.model.backbone import MOBILENET, blank_backbone, open_clip_name, resize_backbone
from progeo_core.model.built_in import built_in_folder, built_in_models
from progeo_core.model.model_card import ModelCard
from progeo_core.model.model_folder import CARD_FILE, Model, is_model_folder, load_model
from progeo_core.model.network import build_network
from progeo_core.model.pretrained import (
    NO_WEIGHTS,
    backbone_of_weights,
    default_preprocessing,
    default_pretrained,
    pretrained_state,
)
from progeo_core.model.weights import sha256_of, visual_part


def load_named_model(model: str) -> Model:
    """Load a model that ships, a model folder, or a backbone as "NAME[:PRETRAINED]".

    PRETRAINED is an open_clip tag (downloaded once), a checkpoint file, or "none" for random
    weights; ProGEO's four backbones default to OpenAI's. Raises `UsageError` for a name that is
    none of these, and `DataError` where files are missing, damaged or cannot be downloaded.
    """
    folder = find_model_folder(model)
    if folder is not None:
        return load_model(folder)
    backbone, pretrained = split_backbone_name(model)
    return _load_backbone(backbone, pretrained or default_pretrained(backbone))


def find_model_folder(model: str) -> Path | None:
    """Return the folder that a name or path means, or None where it can only be a backbone.

    Raises `UsageError` or `DataError` for a path that is no model folder.
    """
    shipped = built_in_folder(model)
    if shipped is not None:
        return shipped
    path = Path(model).expanduser()
    if is_model_folder(path):
        return path
    if path.is_dir():
        raise DataError(f"{path}: no model folder, {CARD_FILE} is missing")
    if path.is_file():
        raise UsageError(
            f"{path}: a checkpoint cannot be used as it is; turn it into a model folder first:"
            f" progeo model import {path} --backbone NAME --out FOLDER"
        )
    if path.name != model and ":" not in model:
        raise DataError(f"{path}: no such model folder")
    return None


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


def _load_backbone(backbone: str, pretrained: str) -> Model:
    blank = blank_backbone(backbone)
    if pretrained == NO_WEIGHTS:
        network = build_network(architecture_of({}, backbone))
    else:
        state = visual_part(pretrained_state(backbone, pretrained))
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
