"""ONNX files, for runtimes other than torch."""

from __future__ import annotations

import importlib.util
import json
import warnings
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from progeo_core.atomic_file import replaced_file
from progeo_core.errors import DataError, MissingDependencyError, UsageError
from progeo_core.inference.pixels import normalize_pixels
from progeo_core.model.model_card import CARD_PROPERTY, ModelCard
from progeo_core.model.model_folder import Model
from progeo_core.model.named_model import load_named_model

_OPSET = 17
# Axes whose sizes may change.
_AXES = {"images": {0: "n"}, "descriptors": {0: "n"}}


class _Describer(nn.Module):
    """All that the encoder does after resizing: normalise, describe and scale."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self._card = model.card
        self._network = model.network

    def forward(self, images: Tensor) -> Tensor:
        descriptors: Tensor = self._network(normalize_pixels(images, self._card.preprocessing))
        return F.normalize(descriptors, dim=1) if self._card.normalized else descriptors


def export_onnx(model: str, path: Path) -> Path:
    """Write a model (see `load_named_model`) as ONNX, as `write_onnx` does; return the file."""
    _require_onnx()
    loaded = load_named_model(model)
    if loaded.head is not None:
        raise UsageError(
            f"{loaded.card.name}: joins a network with local features, which is more than one ONNX"
            " file; export mobilenetv2-gem or another model without them"
        )
    return write_onnx(loaded, path)


def write_onnx(model: Model, path: Path) -> Path:
    """Write a model as ONNX; return the file.

    Input `images`: RGB uint8 [n, 3, height, width], already resized to the model's size. Output
    `descriptors`: float32 [n, D]. The model card is in the file's metadata under `CARD_PROPERTY`.
    Raises `MissingDependencyError` without the onnx package, `DataError` where writing fails.
    """
    _require_onnx()
    size = model.card.preprocessing
    sample = torch.zeros(1, 3, size.height, size.width, dtype=torch.uint8)
    try:
        with replaced_file(path) as unfinished:
            export_network(_Describer(model).eval(), (sample,), unfinished, _AXES)
            _add_card(unfinished, model.card)
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error.strerror})") from error
    return path


def _require_onnx() -> None:
    if importlib.util.find_spec("onnx") is None:
        raise MissingDependencyError("writing ONNX needs the onnx package: pip install onnx")


def export_network(
    network: nn.Module,
    samples: tuple[Tensor, ...],
    path: Path,
    axes: Mapping[str, Mapping[int, str]],
) -> None:
    """Write a network as ONNX, at opset 17; samples: of its inputs.

    axes: those whose sizes may change, by number, of the inputs and of the outputs in their order.
    """
    names = list(axes)
    fast_attention = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # ONNX has no such operator
    try:
        with warnings.catch_warnings():
            # The newer exporter needs one package more and gives the same graph.
            warnings.simplefilter("ignore")
            torch.onnx.export(
                network,
                samples,
                path,
                input_names=names[: len(samples)],
                output_names=names[len(samples) :],
                dynamic_axes={name: dict(own) for name, own in axes.items()},
                opset_version=_OPSET,
                dynamo=False,
            )
    finally:
        torch.backends.mha.set_fastpath_enabled(fast_attention)


def _add_card(path: Path, card: ModelCard) -> None:
    import onnx

    graph = onnx.load(path)
    onnx.helper.set_model_props(graph, {CARD_PROPERTY: json.dumps(card.to_json())})
    onnx.save(graph, path)
