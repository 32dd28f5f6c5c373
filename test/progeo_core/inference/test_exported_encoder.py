from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import torch

from progeo_core.errors import ProgeoError
from progeo_core.inference.exported_encoder import ExportedEncoder
from progeo_core.inference.onnx_export import write_onnx
from progeo_core.inference.runtime import Variant
from progeo_core.model.named_model import load_named_model


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
