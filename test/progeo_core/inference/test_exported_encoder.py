from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import torch

from progeo_core.errors import ProgeoError
from progeo_core.inference.exported_encoder import ExportedEncoder, providers
from progeo_core.inference.onnx_export import write_onnx
from progeo_core.inference.runtime import Variant
from progeo_core.model.named_model import load_named_model

FILE = Path("/cache/model.onnx")


def test_the_cpu_needs_no_other_provider() -> None:
    (only,) = providers(FILE, Variant("onnx", "float32"), torch.device("cpu"))
    assert only == ("CPUExecutionProvider", {})


def test_cuda_takes_the_device_that_is_named() -> None:
    (only,) = providers(FILE, Variant("onnx", "float32"), torch.device("cuda:1"))
    assert only == ("CUDAExecutionProvider", {"device_id": "1"})


def test_tensorrt_keeps_its_engines_and_leaves_the_rest_to_cuda() -> None:
    first, second = providers(FILE, Variant("tensorrt", "float16"), torch.device("cuda"))
    assert first[0] == "TensorrtExecutionProvider"
    assert first[1]["trt_fp16_enable"] is True
    assert first[1]["trt_engine_cache_path"] == "/cache"
    assert second == ("CUDAExecutionProvider", {"device_id": "0"})
    first, _ = providers(FILE, Variant("tensorrt", "float32"), torch.device("cuda"))
    assert first[1]["trt_fp16_enable"] is False


@pytest.mark.slow
@pytest.mark.skipif(
    importlib.util.find_spec("onnxruntime") is None or importlib.util.find_spec("onnx") is None,
    reason="needs the extra onnx",
)
@pytest.mark.skipif(torch.cuda.is_available(), reason="is about machines without CUDA")
@pytest.mark.parametrize("runtime", ["onnx", "tensorrt"])
def test_what_cannot_drive_the_gpu_is_refused(runtime: str, tmp_path: Path) -> None:
    model = load_named_model("mobilenetv2-gem")
    path = write_onnx(model, tmp_path / "model.onnx")
    with pytest.raises(ProgeoError, match=r"ExecutionProvider is not here: .*use runtime torch"):
        ExportedEncoder.open(model.card, path, Variant(runtime, "float32"), torch.device("cuda"))
