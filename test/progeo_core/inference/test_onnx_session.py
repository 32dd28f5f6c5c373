from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper

from progeo_core.errors import ProgeoError
from progeo_core.inference.onnx_export import export_network
from progeo_core.inference.onnx_session import open_session, providers
from progeo_core.inference.runtime import Variant

ONNX, CPU = Variant("onnx", "float32"), torch.device("cpu")
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


class Halves(torch.nn.Module):
    def forward(self, images):
        return images.float() / 2.0, images.float().mean(dim=(1, 2))


def test_outputs_come_in_their_order_for_images_of_any_size(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="needs the extra onnx")
    axes = {"images": {0: "n", 1: "h"}, "halves": {0: "n", 1: "h"}, "means": {0: "n"}}
    path = tmp_path / "halves.onnx"
    export_network(Halves(), (torch.zeros(1, 2, 3, dtype=torch.uint8),), path, axes)
    run = open_session("halves", path, ONNX, CPU)
    images = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    halves, means = run({"images": images})
    np.testing.assert_allclose(halves, images / 2.0)
    np.testing.assert_allclose(means, images.mean(axis=(1, 2)))


def test_a_file_that_is_no_network_is_named_with_its_runtime(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="needs the extra onnx")
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"nothing")
    with pytest.raises(ProgeoError, match=r"'onnx' cannot run XFeat .*: use runtime torch"):
        open_session("XFeat", broken, ONNX, CPU)


@pytest.mark.slow
def test_what_runs_a_network_leaves_nothing_at_home_and_reports_nothing(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    sides = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Neg", ["x"], ["y"])], "net", sides[:1], sides[1:])
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8),
        tmp_path / "net.onnx",
    )
    code = """
import sys
from pathlib import Path
import numpy as np
from progeo_core.inference.onnx_session import start_session
session = start_session(Path(sys.argv[1]), [("CPUExecutionProvider", {})])
print(*session.run(None, {"x": np.ones(1, np.float32)})[0])
"""
    kept = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "net.onnx")],
        capture_output=True,
        text=True,
        check=True,
        env=kept | {"HOME": str(home), "XDG_CACHE_HOME": str(home / ".cache")},
    )
    assert done.stdout == "-1.0\n"
    assert list(home.iterdir()) == []
