"""Choosing a runtime with real ones: torch and ONNX Runtime on the shipped weights."""

from __future__ import annotations

import importlib.util
import json
import logging
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from progeo_core.descriptors.encoder import Encoder
from progeo_core.errors import ImageError, ProgeoError
from progeo_core.inference import onnx_export
from progeo_core.inference.exported_encoder import ExportedEncoder
from progeo_core.inference.loading import load_encoder
from progeo_core.inference.onnx_export import write_onnx
from progeo_core.inference.runtime_choice import choose_encoder
from progeo_core.inference.runtime_trial import agreement, trial_images
from progeo_core.inference.torch_encoder import TorchEncoder
from progeo_core.model.model_folder import load_model

CPU = torch.device("cpu")
SAID = "progeo_core.inference"
pytest.importorskip("onnxruntime")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "progeo"


@pytest.fixture(scope="module")
def reference(small_model: Path) -> Encoder:
    return TorchEncoder(load_model(small_model), CPU)


@pytest.mark.slow
@pytest.mark.parametrize("runtime", ["onnx", "torch", "auto"])
def test_every_runtime_describes_as_torch_does(
    small_model: Path, reference: Encoder, runtime: str
) -> None:
    encoder = load_encoder(str(small_model), "cpu", runtime)
    images = trial_images()
    found = encoder.encode(images)
    assert found.dtype == np.float32
    assert agreement(found, reference.encode(images)) > 0.999
    assert encoder.fingerprint == reference.fingerprint
    assert np.array_equal(found[1:2], encoder.encode(images[1:2]))
    assert encoder.encode([]).shape == (0, 1280)
    with pytest.raises(ImageError, match="must be RGB uint8"):
        encoder.encode([np.zeros((4, 4), np.uint8)])


@pytest.mark.slow
def test_a_trial_is_made_once(
    small_model: Path, cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, SAID)
    first = load_encoder(str(small_model), "cpu")
    assert "is used from now on" in caplog.text
    (remembered,) = cache.glob("*.json")
    document = json.loads(remembered.read_text())
    assert (len(document["expected"]), len(document["expected"][0])) == (4, 1280)
    caplog.clear()
    second = load_encoder(str(small_model), "cpu")
    assert not caplog.records
    assert type(first) is type(second)


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["json", "onnx"])
def test_a_damaged_memory_means_another_trial(
    small_model: Path, cache: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    load_encoder(str(small_model), "cpu", "onnx")
    for file in cache.glob(f"*.{damage}"):
        file.write_bytes(file.read_bytes()[:1000])
    caplog.set_level(logging.INFO, SAID)
    encoder = load_encoder(str(small_model), "cpu", "onnx")
    assert isinstance(encoder, ExportedEncoder)
    assert "onnx in float32 is used from now on" in caplog.text


@pytest.mark.slow
def test_an_export_that_does_not_agree_is_refused(
    small_model: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write_another(model: object, path: Path) -> Path:
        other = load_model(small_model)
        last = list(other.network.backbone.parameters())[-1]
        last.data = torch.rand_like(last) * 10
        return write_onnx(other, path)

    monkeypatch.setattr(onnx_export, "write_onnx", write_another)
    with pytest.raises(ProgeoError, match=r"onnx in float32 is refused.*cosine of 0\.\d+.*0\.999"):
        load_encoder(str(small_model), "cpu", "onnx")
    assert not list(cache.glob("*.json"))
    assert isinstance(load_encoder(str(small_model), "cpu", "auto"), TorchEncoder)


def test_says_what_to_install_and_falls_back(
    small_model: Path,
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    found: Callable[[str], object] = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "onnxruntime" else found(name)
    )
    load_encoder(str(small_model), "cpu").encode(trial_images()[:1])
    (said,) = [one.getMessage() for one in caplog.records if one.levelno == logging.WARNING]
    assert "pip install onnxruntime" in said


def test_a_named_runtime_that_is_not_installed_gives_way(
    small_model: Path,
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    found: Callable[[str], object] = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "onnxruntime" else found(name)
    )
    encoder = load_encoder(str(small_model), "cpu", "onnx")
    said, *_ = [one.getMessage() for one in caplog.records if one.levelno == logging.WARNING]
    assert "pip install onnxruntime" in said
    assert "going on with" in said
    assert encoder.encode(trial_images()[:1]).shape == (1, 1280)


@pytest.mark.slow
def test_works_where_nothing_can_be_remembered(
    small_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(blocked))
    model = load_model(small_model)
    encoder = choose_encoder(model.card, lambda: model, CPU, "onnx")
    assert isinstance(encoder, ExportedEncoder)
    assert os.listdir(tmp_path) == ["file"]
