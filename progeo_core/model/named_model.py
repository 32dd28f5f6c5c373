"""Models by name: those that ship, model folders, and backbones with their weights."""

from __future__ import annotations

from pathlib import Path

from progeo_core.errors import DataError, UsageError
from progeo_core.model.built_in import built_in_folder
from progeo_core.model.model_address import parse_model_address
from progeo_core.model.model_folder import CARD_FILE, Model, is_model_folder, load_model


def load_named_model(model: str, *, with_text: bool = False) -> Model:
    """Load a model that ships, a model folder, or a backbone as "NAME[:PRETRAINED]".

    PRETRAINED is an open_clip tag (downloaded once), a checkpoint file, or "none" for random
    weights; ProGEO's four backbones default to OpenAI's. with_text: and CLIP's text side where the
    weights have one. Raises `UsageError` for a name that is none of these, and `DataError` where
    files are missing, damaged or cannot be downloaded.
    """
    folder = find_model_folder(model)
    if folder is not None:
        return load_model(folder, with_text=with_text)
    from progeo_core.model.named_backbone import load_backbone

    return load_backbone(model, with_text=with_text)


def find_model_folder(model: str) -> Path | None:
    """Return the folder that a name or path means, or None where it can only be a backbone.

    Raises `UsageError` or `DataError` for a path that is no model folder.
    """
    shipped = built_in_folder(model)
    if shipped is not None:
        return shipped
    if parse_model_address(model) is not None:
        raise UsageError(
            f"model '{model}': is of others; maps, descriptors and answers are made with it, and"
            " nothing else"
        )
    path = Path(model).expanduser()
    if is_model_folder(path):
        return path
    if path.is_dir():
        raise DataError(f"{path}: no model folder, {CARD_FILE} is missing")
    if path.suffix == ".onnx":
        raise UsageError(f"{path}: name an ONNX file as onnx:{path}")
    if path.is_file():
        raise UsageError(
            f"{path}: a checkpoint cannot be used as it is; turn it into a model folder first:"
            f" progeo model import {path} --backbone NAME --out FOLDER"
        )
    if path.name != model and ":" not in model:
        raise DataError(f"{path}: no such model folder")
    return None
