"""What a model is, without running it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from progeo_core.errors import ModelMismatchError, UsageError
from progeo_core.model.architecture import Architecture
from progeo_core.model.assembly import architecture_of, image_size_of
from progeo_core.model.authors_checkpoint import recognise_backbone
from progeo_core.model.backbone import blank_backbone
from progeo_core.model.model_folder import read_model
from progeo_core.model.named_backbone import name_backbone
from progeo_core.model.network import build_blank_network
from progeo_core.model.preprocessing import Preprocessing
from progeo_core.model.pretrained import pretrained_tags
from progeo_core.model.stored_model import WEIGHTS_FILE, find_model_folder
from progeo_core.model.weights import read_state, sha256_of, to_network_names, visual_part

_SCHEMA = 1


@dataclasses.dataclass(frozen=True)
class ModelInfo:
    """Description of a model folder, a checkpoint file or a backbone.

    form: "model folder", "checkpoint" or "backbone". parameters: of the visual side.
    weights_sha256 and weights_bytes are empty and 0 for a backbone, whose weights are elsewhere;
    pretrained lists the weights that open_clip can download for it.
    """

    name: str
    form: str
    backbone: str
    head: str
    dimension: int
    normalized: bool
    with_text: bool
    preprocessing: str
    parameters: int
    weights_sha256: str = ""
    weights_bytes: int = 0
    source: str = ""
    licence: str = ""
    path: str = ""
    pretrained: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the fields with the schema's version, ready to be written as JSON."""
        return {"schema": _SCHEMA, **dataclasses.asdict(self)}


def describe_model(model: str) -> ModelInfo:
    """Look at a model by name (see `load_named_model`), or at a checkpoint file.

    Raises `DataError` for files that are missing or damaged, `ModelMismatchError` for a checkpoint
    of no backbone that ProGEO uses, and `UsageError` for an unknown name.
    """
    path = Path(model).expanduser()
    if path.suffix == ".progeo":
        raise UsageError(f"{path}: a map; progeo map info {path} names its model")
    if path.is_file():
        return _describe_checkpoint(path)
    folder = find_model_folder(model)
    return _describe_folder(folder) if folder is not None else _describe_backbone(model)


def _describe_folder(folder: Path) -> ModelInfo:
    card, state = read_model(folder, with_text=True)
    fields = _architecture_fields(card.architecture)
    if card.local is not None:
        head = f"{fields['head']} + VLAD of {card.local.extractor}"
        fields |= {"head": head, "dimension": card.local.dimension}
    return ModelInfo(
        name=card.name,
        form="model folder",
        **fields,
        normalized=card.normalized,
        preprocessing=card.fingerprint.preprocessing,
        parameters=_count(state),
        weights_sha256=card.weights_sha256,
        weights_bytes=(folder / WEIGHTS_FILE).stat().st_size,
        source=card.source,
        licence=card.licence,
        path=str(folder),
    )


def _describe_checkpoint(path: Path) -> ModelInfo:
    state = to_network_names(read_state(path))
    backbone = recognise_backbone(state)
    if backbone is None:
        raise ModelMismatchError(f"{path}: a checkpoint of no backbone that ProGEO uses")
    size = image_size_of(state, blank_backbone(backbone))
    return ModelInfo(
        name=path.name,
        form="checkpoint",
        **_architecture_fields(architecture_of(state, backbone)),
        normalized=True,
        preprocessing=str(Preprocessing(size, size)),
        parameters=_count(state),
        weights_sha256=sha256_of(state),
        weights_bytes=path.stat().st_size,
        path=str(path),
    )


def _describe_backbone(model: str) -> ModelInfo:
    named = name_backbone(model)
    architecture = architecture_of({}, named.backbone)
    return ModelInfo(
        name=model,
        form="backbone",
        **_architecture_fields(architecture),
        normalized=True,
        preprocessing=str(named.preprocessing),
        parameters=_count(build_blank_network(architecture).state_dict()),
        pretrained=() if named.folder else pretrained_tags(named.backbone),
        path=named.pretrained if named.folder else "",
    )


def _architecture_fields(architecture: Architecture) -> dict[str, Any]:
    fields = dataclasses.asdict(architecture)
    return {**fields, "head": architecture.head.value}


def _count(state: Mapping[str, Tensor]) -> int:
    """Count the visual weights, batch statistics included."""
    return sum(tensor.numel() for tensor in visual_part(dict(state)).values())
