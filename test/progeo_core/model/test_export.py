from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from progeo_core.errors import DataError, MissingDependencyError
from progeo_core.images import read_image
from progeo_core.model.export import CARD_PROPERTY, export_onnx
from progeo_core.model.loading import load_encoder
from progeo_core.model.preprocessing import Preprocessing

MODEL = "mobilenetv2-gem"


def test_onnx_describes_as_torch_does(campus_loop: Path, tmp_path: Path) -> None:
    images = [read_image(campus_loop / "dataset" / f"image_{n}.png") for n in range(2)]
    path = export_onnx(MODEL, tmp_path / "model.onnx")

    session = onnxruntime.InferenceSession(path)
    resize = Preprocessing(resampling="bicubic").resize
    pixels = np.stack([resize(image).numpy() for image in images])
    (descriptors,) = session.run(["descriptors"], {"images": pixels})

    assert np.abs(descriptors - load_encoder(MODEL, "cpu").encode(images)).max() < 1e-5
    properties = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
    assert json.loads(properties[CARD_PROPERTY])["name"] == MODEL
    assert [file.name for file in tmp_path.iterdir()] == ["model.onnx"]


def test_names_the_package_that_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match="pip install onnx"):
        export_onnx(MODEL, tmp_path / "model.onnx")


def test_says_where_it_cannot_write(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be written"):
        export_onnx(MODEL, tmp_path / "missing" / "model.onnx")
