from __future__ import annotations

from pathlib import Path

import pytest

from progeo_core.errors import UsageError
from progeo_core.inference.loading import load_encoder
from progeo_core.inference.torch_encoder import TorchEncoder
from progeo_core.model.built_in import DEFAULT_MODEL


def test_loads_the_default_model() -> None:
    assert load_encoder(runtime="torch").fingerprint.name == DEFAULT_MODEL


def test_random_weights_leave_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    encoder = load_encoder("MobileNetV2:none", "cpu")
    assert isinstance(encoder, TorchEncoder)
    assert list(tmp_path.iterdir()) == []


def test_names_what_cannot_be_had_before_anything_is_loaded() -> None:
    with pytest.raises(UsageError, match="device 'tpu' cannot be used"):
        load_encoder("no-such-model", "tpu")
    with pytest.raises(UsageError, match="unknown model 'no-such-model'"):
        load_encoder("no-such-model", "cpu")
    with pytest.raises(UsageError, match="'openvino' is not known: take one of auto, torch, onnx"):
        load_encoder("MobileNetV2:none", "cpu", "openvino")
