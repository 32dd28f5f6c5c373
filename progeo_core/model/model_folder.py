"""A model on disk: a folder with `model.safetensors` and `model.json`."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import safetensors
from safetensors.torch import save_file
from torch import Tensor

from progeo_core.atomic_file import replaced_file
from progeo_core.errors import DataError
from progeo_core.model.backbone import resize_backbone
from progeo_core.model.model_card import ModelCard, read_model_card
from progeo_core.model.network import ProgeoNetwork, build_blank_network
from progeo_core.model.weights import TEXT, VISUAL, State, has_text, load_weights, sha256_of

CARD_FILE = "model.json"
WEIGHTS_FILE = "model.safetensors"


class Model(NamedTuple):
    """Hold a network with its weights, and the card that says how to use it."""

    card: ModelCard
    network: ProgeoNetwork


class StoredModel(NamedTuple):
    """Hold the card and the weights of a model folder, as they are stored."""

    card: ModelCard
    state: State


def is_model_folder(path: Path) -> bool:
    """Say whether a folder holds a model card."""
    return (path / CARD_FILE).is_file()


def save_model(folder: Path, card: ModelCard, state: Mapping[str, Tensor]) -> Path:
    """Write weights and card into `folder`, each whole or not at all; return the folder.

    Raises `DataError` where that is impossible.
    """
    weights = {name: tensor.detach().contiguous() for name, tensor in state.items()}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with replaced_file(folder / WEIGHTS_FILE) as unfinished:
            save_file(weights, unfinished)
        with replaced_file(folder / CARD_FILE) as unfinished:
            unfinished.write_text(json.dumps(card.to_json(), indent=2) + "\n", encoding="utf-8")
    except (OSError, safetensors.SafetensorError) as error:
        raise DataError(f"{folder}: the model cannot be written ({error})") from error
    return folder


def load_model(folder: Path, *, with_text: bool = False) -> Model:
    """Read a model folder onto the CPU, ready to describe.

    Raises as `read_model` does, and `ModelMismatchError` for weights of another network.
    """
    card, state = read_model(folder, with_text=with_text)
    network = build_blank_network(card.architecture)
    resize_backbone(network.backbone, card.preprocessing.height, card.preprocessing.width)
    load_weights(network, state, str(folder / WEIGHTS_FILE))
    return Model(card, network)


def read_model(folder: Path, *, with_text: bool) -> StoredModel:
    """Read a model folder and check its weights against the card.

    The text side stays on the disk unless it is asked for. Raises `DataError` for missing,
    damaged and newer files.
    """
    card = read_model_card(folder / CARD_FILE)
    path = folder / WEIGHTS_FILE
    wanted = (*VISUAL, *TEXT) if with_text else VISUAL
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            names = [name for name in file.keys() if name.startswith(wanted)]  # noqa: SIM118
            state = {name: file.get_tensor(name) for name in names}
    except (OSError, safetensors.SafetensorError) as error:
        raise DataError(f"{path}: missing or damaged ({error}); import the model again") from error
    if sha256_of(state) != card.weights_sha256:
        raise DataError(f"{path}: damaged, or not the weights that {CARD_FILE} was written for")
    architecture = dataclasses.replace(card.architecture, with_text=has_text(state))
    return StoredModel(dataclasses.replace(card, architecture=architecture), state)
