from __future__ import annotations

import math
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from progeo_core.errors import ProgeoError
from progeo_core.images.codec import Image
from progeo_core.inference.encoder_workbench import EncoderWorkbench
from progeo_core.inference.runtime import REFERENCE, Variant
from progeo_core.inference.runtime_trial import agreement, run_trial, trial_images
from progeo_core.inference.torch_encoder import TorchEncoder
from progeo_core.model.model_folder import load_model

CPU = torch.device("cpu")


def test_agreement_is_that_of_the_worst_image() -> None:
    expected = np.eye(3, dtype=np.float32)
    found = expected.copy()
    found[2] = [0, 0.6, 0.8]
    assert agreement(2 * expected, expected) == pytest.approx(1)
    assert agreement(found, expected) == pytest.approx(0.8)
    found[0] = np.nan
    assert math.isnan(agreement(found, expected))


class _BusyOrWaiting:
    """Workbench whose reference computes, while its other variant waits for other programs."""

    name = "fake"

    def build(self, variant: Variant) -> Variant:
        return variant

    def answers(self, built: Variant, images: Sequence[Image]) -> NDArray[np.float32]:
        if built == REFERENCE:
            finish = time.process_time() + 0.01
            while time.process_time() < finish:
                pass
        else:
            time.sleep(0.03)
        return np.ones((len(images), 1), np.float32)

    def forget_export(self) -> None:
        raise AssertionError


def test_what_waits_for_other_programs_is_not_slow() -> None:
    waiting = Variant("onnx", "float32")
    result = run_trial(_BusyOrWaiting(), [waiting, REFERENCE])
    assert result.variant == waiting


@pytest.mark.slow
def test_the_only_way_that_agrees_is_taken(small_model: Path, tmp_path: Path) -> None:
    model = load_model(small_model)
    bench = EncoderWorkbench(model.card, lambda: model, CPU, tmp_path / "small.onnx")
    result = run_trial(bench, [Variant("torch", "bfloat16"), REFERENCE])
    assert isinstance(result.built, TorchEncoder)
    assert result.expected.shape == (4, 1280)
    found = result.built.encode(trial_images())
    assert agreement(found, result.expected) >= 0.999
    assert not (tmp_path / "small.onnx").exists()


def test_a_file_that_is_no_network_is_named_with_its_runtime(
    small_model: Path, tmp_path: Path
) -> None:
    pytest.importorskip("onnxruntime", reason="needs the extra onnx")
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"nothing")
    model = load_model(small_model)
    bench = EncoderWorkbench(model.card, lambda: model, CPU, broken)
    with pytest.raises(ProgeoError, match=r"'onnx' cannot run small .*: use runtime torch"):
        run_trial(bench, [Variant("onnx", "float32")])
