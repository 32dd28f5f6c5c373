from __future__ import annotations

from pathlib import Path

import pytest
import torch

from progeo_core.inference.encoder_workbench import EncoderWorkbench
from progeo_core.inference.exported_encoder import ExportedEncoder
from progeo_core.inference.runtime import REFERENCE, Variant
from progeo_core.inference.runtime_trial import agreement, trial_images
from progeo_core.model.model_folder import load_model

CPU = torch.device("cpu")


def test_an_encoder_of_the_bench_leaves_the_model_as_it_is(
    small_model: Path, tmp_path: Path
) -> None:
    model = load_model(small_model)
    before = {name: weight.clone() for name, weight in model.network.state_dict().items()}
    bench = EncoderWorkbench(model.card, lambda: model, CPU, tmp_path / "small.onnx")
    bench.build(Variant("torch", "bfloat16"))
    after = model.network.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], weight) for name, weight in before.items())


@pytest.mark.slow  # a model is exported
def test_what_is_exported_answers_as_torch_does(small_model: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="needs the extra onnx")
    path = tmp_path / "small.onnx"
    model = load_model(small_model)
    bench = EncoderWorkbench(model.card, lambda: model, CPU, path)
    exported = bench.build(Variant("onnx", "float32"))
    assert isinstance(exported, ExportedEncoder)
    images = trial_images()[:1]
    expected = bench.answers(bench.build(REFERENCE), images)
    assert agreement(bench.answers(exported, images), expected) > 0.999
    bench.forget_export()
    assert not path.exists()
