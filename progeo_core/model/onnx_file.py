"""A model as an ONNX file, for runtimes other than torch."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import warnings
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from progeo_core.atomic_file import replaced_file
from progeo_core.errors import DataError, MissingDependencyError
from progeo_core.model.model_card import ModelCard
from progeo_core.model.model_folder import Model
from progeo_core.model.named_model import load_named_model

_OPSET = 17


class ExportedModel(NamedTuple):
    """Hold the size (pixels) that an exported model takes, and its descriptor length D."""

    height: int
    width: int
    dimension: int


class _FromPixels(nn.Module):
    """Describe RGB pixels from 0 to 1: normalisation, network, unit length in one graph."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.network = model.network.eval()
        self.normalized = model.card.normalized
        preprocessing = model.card.preprocessing
        self.register_buffer("mean", torch.tensor(preprocessing.mean).view(3, 1, 1))
        self.register_buffer("std", torch.tensor(preprocessing.std).view(3, 1, 1))

    def forward(self, pixels: Tensor) -> Tensor:
        """Return descriptors [n, D] of pixels [n, 3, h, w]."""
        descriptors: Tensor = self.network((pixels - self.mean) / self.std)
        return F.normalize(descriptors, dim=1) if self.normalized else descriptors


def export_onnx(model: str, target: Path) -> ExportedModel:
    """Write a model (see `load_named_model`) as ONNX; the file appears whole or not at all.

    Input `pixels`: float32 [n, 3, height, width], RGB 0 to 1. Output `descriptors`: float32
    [n, D]. The fingerprint is in the file's metadata as JSON. Raises `MissingDependencyError`
    without the package onnx, and `DataError` where the file cannot be written.
    """
    if importlib.util.find_spec("onnx") is None:
        raise MissingDependencyError(
            "exporting needs the package onnx: pip install 'progeo_ros[onnx]'"
        )
    loaded = load_named_model(model)
    size = loaded.card.preprocessing
    try:
        with replaced_file(target) as unfinished:
            _export(_FromPixels(loaded), torch.rand(2, 3, size.height, size.width), unfinished)
            _write_fingerprint(unfinished, loaded.card)
    except OSError as error:
        raise DataError(f"{target}: cannot be written ({error.strerror})") from error
    return ExportedModel(size.height, size.width, loaded.card.fingerprint.dimension)


def _export(network: nn.Module, example: Tensor, path: Path) -> None:
    with warnings.catch_warnings(), torch.inference_mode():
        # The exporter that needs no further package is the older one, and warns of its age.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            (example,),
            str(path),
            input_names=["pixels"],
            output_names=["descriptors"],
            dynamic_axes={"pixels": {0: "n"}, "descriptors": {0: "n"}},
            opset_version=_OPSET,
            dynamo=False,
        )


def _write_fingerprint(path: Path, card: ModelCard) -> None:
    import onnx

    document = onnx.load(path)
    entry = document.metadata_props.add()
    entry.key, entry.value = "fingerprint", json.dumps(dataclasses.asdict(card.fingerprint))
    onnx.save(document, path)
