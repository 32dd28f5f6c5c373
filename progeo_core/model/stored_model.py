"""What is read of a model folder without its network, and without torch: card and local head."""

from __future__ import annotations

from pathlib import Path

import safetensors

from progeo_core.errors import DataError, ModelMismatchError, UsageError
from progeo_core.model.built_in import built_in_folder
from progeo_core.model.local_head import LOCAL, LocalHead, Rows
from progeo_core.model.model_address import parse_model_address
from progeo_core.model.model_card import (
    CARD_PROPERTY,
    ModelCard,
    parse_model_card,
    read_model_card,
)
from progeo_core.model.weight_digest import digest_of_file

CARD_FILE = "model.json"
WEIGHTS_FILE = "model.safetensors"
_FILE_SUFFIXES = (".pth", ".pt", ".safetensors")  # of checkpoints
HF_FORM = "hf"  # of "hf:FOLDER", a folder of Hugging Face


def is_model_folder(path: Path) -> bool:
    """Whether a folder holds a model."""
    return (path / CARD_FILE).is_file() or (path / WEIGHTS_FILE).is_file()


def find_model_folder(model: str) -> Path | None:
    """Return the folder that a name or path means, or None where it can only be a backbone.

    Raises `UsageError` or `DataError` for a path that is no model folder.
    """
    shipped = built_in_folder(model)
    if shipped is not None:
        return shipped
    if parse_model_address(model) is not None:
        raise UsageError(
            f"model '{model}': is of others; it makes maps, descriptors and answers, and cannot be"
            " looked into, exported or trained here"
        )
    path = Path(model).expanduser()
    if is_model_folder(path):
        return path
    if path.is_dir():
        raise DataError(
            f"{path}: no model folder, {CARD_FILE} is missing; name a folder of Hugging Face as"
            f" {HF_FORM}:{path}"
        )
    if path.suffix == ".onnx":
        raise UsageError(f"{path}: name an ONNX file as onnx:{path}")
    if path.is_file():
        raise UsageError(
            f"{path}: a checkpoint cannot be used as it is; turn it into a model folder first:"
            f" progeo model import {path} --backbone NAME --out FOLDER"
        )
    if path.name != model and ":" not in model:
        raise DataError(f"{path}: no such model folder")
    if path.suffix in _FILE_SUFFIXES and ":" not in model:
        raise DataError(f"{path}: no such file")
    return None


def read_card(folder: Path) -> ModelCard:
    """Return the card that belongs to the weights of a folder, which are read for that.

    Raises as `read_model` does, but for what is wrong with single weights.
    """
    path = folder / WEIGHTS_FILE
    beside = card_beside(folder)
    try:
        with safetensors.safe_open(path, framework="np") as file:
            inside = (file.metadata() or {}).get(CARD_PROPERTY)
        digest = digest_of_file(path)
    except (OSError, safetensors.SafetensorError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: missing or damaged ({error}); import the model again") from error
    return card_of_weights(folder, beside, inside, digest)


def card_beside(folder: Path) -> ModelCard | None:
    """Return the card that lies beside the weights; `DataError` where it is damaged."""
    path = folder / CARD_FILE
    return read_model_card(path) if path.exists() else None


def card_of_weights(
    folder: Path, beside: ModelCard | None, inside: str | None, digest: str
) -> ModelCard:
    """Return the card of weights with a digest; inside: the card that they carry.

    Raises `DataError` where there is none for them.
    """
    card, path = beside, folder / WEIGHTS_FILE
    if inside is not None and (card is None or card.weights_sha256 != digest):
        card = parse_model_card(inside, path)
    if card is None:
        raise DataError(f"{folder / CARD_FILE}: missing; import the model again")
    if card.weights_sha256 != digest:
        raise DataError(f"{path}: damaged, or not the weights that {CARD_FILE} was written for")
    return card


def read_local_head(folder: Path, card: ModelCard) -> LocalHead | None:
    """Read the local head that the card says, None where it says none.

    Raises `DataError` for a damaged file, `ModelMismatchError` for a head that is another.
    """
    path = folder / WEIGHTS_FILE
    try:
        with safetensors.safe_open(path, framework="np") as file:
            names = [name for name in file.keys() if name.startswith(LOCAL)]  # noqa: SIM118
            weights: dict[str, Rows] = {name: file.get_tensor(name) for name in names}
    except (OSError, safetensors.SafetensorError, TypeError) as error:
        raise DataError(f"{path}: missing or damaged ({error}); import the model again") from error
    if card.local is None and not weights:
        return None
    head = LocalHead.of_weights(weights, str(path))
    sizes = head.dimension, len(head.words), head.network_projection.shape[1]
    said = card.local and (card.local.dimension, card.local.words, card.architecture.dimension)
    if sizes != said:
        raise ModelMismatchError(f"{path}: its local head is not the one of {CARD_FILE}")
    return head
