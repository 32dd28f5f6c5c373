"""A model on disk: a folder with `model.safetensors` and `model.json`.

The weights carry the card, too. So a model is there in one step, with its weights: after a kill
before the card is written, and between the two, readers find the card that belongs to the weights.
"""

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
from progeo_core.errors import DataError, UsageError
from progeo_core.model.backbone import resize_backbone
from progeo_core.model.local_head import LOCAL, LocalHead
from progeo_core.model.model_card import CARD_PROPERTY, ModelCard
from progeo_core.model.network import ProgeoNetwork, build_blank_network
from progeo_core.model.stored_model import (
    CARD_FILE,
    WEIGHTS_FILE,
    card_beside,
    card_of_weights,
    read_local_head,
)
from progeo_core.model.weight_digest import TEXT, VISUAL
from progeo_core.model.weights import State, has_text, load_weights, sha256_of


class Model(NamedTuple):
    """Network with its weights, its local head, if any, and the card that says how to use it."""

    card: ModelCard
    network: ProgeoNetwork
    head: LocalHead | None = None

    @property
    def network_alone(self) -> Model:
        """Return the model without its local head."""
        return Model(self.card.network_alone, self.network)


class StoredModel(NamedTuple):
    """Card and weights of a model folder, as they are stored."""

    card: ModelCard
    state: State


def save_model(folder: Path, card: ModelCard, state: Mapping[str, Tensor]) -> Path:
    """Write weights and card into a folder, and return it.

    After a kill at any moment it holds the old model or the new one, whole. Raises `DataError`
    where it cannot be written.
    """
    weights = {name: tensor.detach().contiguous() for name, tensor in state.items()}
    text = json.dumps(card.to_json(), indent=2) + "\n"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with replaced_file(folder / WEIGHTS_FILE) as unfinished:
            save_file(weights, unfinished, {CARD_PROPERTY: text})
        with replaced_file(folder / CARD_FILE) as unfinished:
            unfinished.write_text(text, encoding="utf-8")
    except (OSError, safetensors.SafetensorError) as error:
        raise DataError(f"{folder}: the model cannot be written ({error})") from error
    return folder


def load_model(folder: Path, *, with_text: bool = False) -> Model:
    """Read a model folder onto the CPU, ready to describe.

    Raises as `read_model` does, and `ModelMismatchError` for weights of another network.
    """
    card, state = read_model(folder, with_text=with_text)
    try:
        network = build_blank_network(card.architecture)
        resize_backbone(network.backbone, card.preprocessing.height, card.preprocessing.width)
    except UsageError as error:
        raise DataError(f"{folder / CARD_FILE}: {error}") from error
    source = str(folder / WEIGHTS_FILE)
    rest = {name: tensor for name, tensor in state.items() if not name.startswith(LOCAL)}
    load_weights(network, rest, source)
    return Model(card, network, read_local_head(folder, card))


def read_model(folder: Path, *, with_text: bool) -> StoredModel:
    """Read a model folder and check its weights against the card.

    The text side stays on the disk unless it is asked for. Raises `DataError` for missing,
    damaged and newer files.
    """
    path = folder / WEIGHTS_FILE
    beside = card_beside(folder)
    wanted = (*VISUAL, *TEXT) if with_text else VISUAL
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            names = [name for name in file.keys() if name.startswith(wanted)]  # noqa: SIM118
            state = {name: file.get_tensor(name) for name in names}
            inside = (file.metadata() or {}).get(CARD_PROPERTY)
    except (OSError, safetensors.SafetensorError) as error:
        raise DataError(f"{path}: missing or damaged ({error}); import the model again") from error
    card = card_of_weights(folder, beside, inside, sha256_of(state))
    architecture = dataclasses.replace(card.architecture, with_text=has_text(state))
    return StoredModel(dataclasses.replace(card, architecture=architecture), state)
