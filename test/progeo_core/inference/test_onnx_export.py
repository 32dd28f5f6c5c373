from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from progeo_core.errors import DataError, MissingDependencyError, UsageError
from progeo_core.images.codec import read_image
from progeo_core.inference.onnx_export import export_onnx
from progeo_core.inference.pixels import resize_on
from progeo_core.inference.torch_encoder import TorchEncoder
from progeo_core.model.model_card import CARD_PROPERTY
from progeo_core.model.named_model import load_named_model
from progeo_core.model.preprocessing import Preprocessing

MODEL = "mobilenetv2-gem"


@pytest.mark.slow
@pytest.mark.parametrize("model", [MODEL, "ViT-S-32-alt:none"])
def test_onnx_describes_as_torch_does(model: str, campus_loop: Path, tmp_path: Path) -> None:
    images = [read_image(campus_loop / "dataset" / f"image_{n}.png") for n in range(2)]
    torch.manual_seed(0)
    path = export_onnx(model, tmp_path / "model.onnx")
    cpu = torch.device("cpu")
    torch.manual_seed(0)
    expected = TorchEncoder(load_named_model(model), cpu).encode(images)

    session = onnxruntime.InferenceSession(path)
    card = json.loads({e.key: e.value for e in onnx.load(path).metadata_props}[CARD_PROPERTY])
    size = Preprocessing(**card["preprocessing"])
    pixels = np.stack([resize_on(cpu, image, size).numpy() for image in images])
    (descriptors,) = session.run(["descriptors"], {"images": pixels})

    assert np.abs(descriptors - expected).max() < 1e-5
    assert card["name"] == model
    assert [file.name for file in tmp_path.iterdir()] == ["model.onnx"]


def test_names_the_package_that_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match="pip install onnx"):
        export_onnx(MODEL, tmp_path / "model.onnx")


def test_says_where_it_cannot_write(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be written"):
        export_onnx(MODEL, tmp_path / "missing" / "model.onnx")


def test_a_model_of_two_networks_is_no_single_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"mobilenetv2-vlad: .* export mobilenetv2-gem"):
        export_onnx("mobilenetv2-vlad", tmp_path / "model.onnx")
