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
from progeo_core.errors import DataError, ModelMismatchError, UsageError
from progeo_core.model.backbone import resize_backbone
from progeo_core.model.local_head import LOCAL, LocalHead
from progeo_core.model.model_card import (
    CARD_PROPERTY,
    ModelCard,
    parse_model_card,
    read_model_card,
)
from progeo_core.model.network import ProgeoNetwork, build_blank_network
from progeo_core.model.weights import TEXT, VISUAL, State, has_text, load_weights, sha256_of

CARD_FILE = "model.json"
WEIGHTS_FILE = "model.safetensors"


class Model(NamedTuple):
    """Network with its weights, its local head, if any, and the card that says how to use it."""

    card: ModelCard
    network: ProgeoNetwork
    head: LocalHead | None = None

    @property
    def network_alone(self) -> Model:
        """Return the model without its local head."""
        return Model(dataclasses.replace(self.card, local=None), self.network)


class StoredModel(NamedTuple):
    """Card and weights of a model folder, as they are stored."""

    card: ModelCard
    state: State


def is_model_folder(path: Path) -> bool:
    """Whether a folder holds a model."""
    return (path / CARD_FILE).is_file() or (path / WEIGHTS_FILE).is_file()


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
    local = {name: tensor for name, tensor in state.items() if name.startswith(LOCAL)}
    rest = {name: tensor for name, tensor in state.items() if name not in local}
    load_weights(network, rest, source)
    return Model(card, network, _head(card, local, source))


def _head(card: ModelCard, state: State, source: str) -> LocalHead | None:
    """Return the local head that the card says, None where it says none."""
    if card.local is None and not state:
        return None
    head = LocalHead.of_state(state, source)
    sizes = head.dimension, len(head.words), head.network_projection.shape[1]
    said = card.local and (card.local.dimension, card.local.words, card.architecture.dimension)
    if sizes != said:
        raise ModelMismatchError(f"{source}: its local head is not the one of {CARD_FILE}")
    return head


def read_model(folder: Path, *, with_text: bool) -> StoredModel:
    """Read a model folder and check its weights against the card.

    The text side stays on the disk unless it is asked for. Raises `DataError` for missing,
    damaged and newer files.
    """
    path = folder / WEIGHTS_FILE
    beside = _card_beside(folder)
    wanted = (*VISUAL, *TEXT) if with_text else VISUAL
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            names = [name for name in file.keys() if name.startswith(wanted)]  # noqa: SIM118
            state = {name: file.get_tensor(name) for name in names}
            inside = (file.metadata() or {}).get(CARD_PROPERTY)
    except (OSError, safetensors.SafetensorError) as error:
        raise DataError(f"{path}: missing or damaged ({error}); import the model again") from error
    card, digest = beside, sha256_of(state)
    if inside is not None and (card is None or card.weights_sha256 != digest):
        card = parse_model_card(inside, path)
    if card is None:
        raise DataError(f"{folder / CARD_FILE}: missing; import the model again")
    if card.weights_sha256 != digest:
        raise DataError(f"{path}: damaged, or not the weights that {CARD_FILE} was written for")
    architecture = dataclasses.replace(card.architecture, with_text=has_text(state))
    return StoredModel(dataclasses.replace(card, architecture=architecture), state)


def _card_beside(folder: Path) -> ModelCard | None:
    path = folder / CARD_FILE
    return read_model_card(path) if path.exists() else None
