from __future__ import annotations

import importlib.util

import pytest
import torch

from progeo_core.errors import MissingDependencyError, UsageError
from progeo_core.inference import runtime
from progeo_core.inference.runtime import REFERENCE, Variant, variants

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


def without(*packages: str) -> object:
    return lambda name: None if name in packages else object()


def test_auto_takes_what_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "_has_bfloat16", lambda: False)
    monkeypatch.setattr(importlib.util, "find_spec", without())
    assert {one.runtime for one in variants("auto", CPU)} == {"torch", "onnx"}
    assert {one.precision for one in variants("auto", CPU)} == {"float32"}
    monkeypatch.setattr(importlib.util, "find_spec", without("onnxruntime"))
    assert variants("auto", CPU) == [REFERENCE]


def test_half_precision_where_the_hardware_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "_has_bfloat16", lambda: True)
    assert variants("torch", CPU) == [Variant("torch", "bfloat16"), REFERENCE]
    assert variants("torch", CUDA)[0] == Variant("torch", "float16")
    assert {one.runtime for one in variants("auto", CUDA)} <= {"torch", "onnx"}


def test_tensorrt_has_to_be_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", without())
    assert [one.precision for one in variants("tensorrt", CUDA)] == ["float16", "float32"]
    with pytest.raises(UsageError, match="'tensorrt' cannot use device 'cpu': take onnx, torch"):
        variants("tensorrt", CPU)


def test_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", without("onnxruntime"))
    with pytest.raises(MissingDependencyError, match=r"'onnx'.*: pip install onnxruntime, or"):
        variants("onnx", CPU)


def test_refuses_what_it_does_not_know() -> None:
    with pytest.raises(UsageError, match=r"'tvm' is not known: take one of auto, torch, onnx, t"):
        variants("tvm", CPU)
    with pytest.raises(UsageError, match="'openvino' is not known: take one of auto, torch, onnx"):
        variants("openvino", CPU)
    with pytest.raises(UsageError, match="'onnx' cannot use device 'mps': take torch"):
        variants("onnx", torch.device("mps"))
