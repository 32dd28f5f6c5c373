from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
import torch

from progeo_core.inference import torch_encoder
from progeo_core.inference.runtime_trial import agreement, trial_images
from progeo_core.inference.torch_encoder import TorchEncoder
from progeo_core.model.model_folder import load_model

CPU = torch.device("cpu")


def test_a_full_gpu_means_smaller_batches_said_once(
    small_model: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Stand in for the GPU: the real network refuses batches that are too large."""
    images = trial_images() * 2
    expected = TorchEncoder(load_model(small_model), CPU).encode(images)
    monkeypatch.setattr(torch_encoder, "_CHUNK", {"cpu": 8, "cuda": 8})
    model = load_model(small_model)
    sizes: list[int] = []

    def refuse(module: torch.nn.Module, arguments: tuple[torch.Tensor]) -> None:
        sizes.append(len(arguments[0]))
        if sizes[-1] > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")

    encoder = TorchEncoder(model, CPU)
    model.network.register_forward_pre_hook(refuse)
    assert np.allclose(encoder.encode(images), expected, atol=1e-5)
    assert np.allclose(encoder.encode(images), expected, atol=1e-5)
    assert sizes == [8, 4, *[2] * 8]
    (said,) = caplog.records
    assert "smaller batches" in said.message
    assert said.levelno == logging.WARNING


def test_a_gpu_without_room_for_one_image_gives_way_to_the_cpu(
    small_model: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    expected = TorchEncoder(load_model(small_model), CPU).encode(trial_images())
    monkeypatch.setattr(torch_encoder, "_CHUNK", {"cpu": 1, "cuda": 4})
    model = load_model(small_model)

    def refuse(module: torch.nn.Module, arguments: tuple[torch.Tensor]) -> None:
        if arguments[0].dtype == torch.bfloat16:
            raise torch.OutOfMemoryError("CUDA out of memory")

    encoder = TorchEncoder(model, CPU, "bfloat16")
    model.network.register_forward_pre_hook(refuse)
    assert np.allclose(encoder.encode(trial_images()), expected, atol=1e-2)
    assert "going on on the CPU" in caplog.records[-1].message
    assert len(caplog.records) == 1


@pytest.mark.slow
def test_bfloat16_is_near_float32(small_model: Path) -> None:
    images = trial_images()
    exact = TorchEncoder(load_model(small_model), CPU).encode(images)
    coarse = TorchEncoder(load_model(small_model), CPU, "bfloat16").encode(images)
    assert coarse.dtype == np.float32
    assert 0.98 < agreement(coarse, exact) < 0.999999


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_cuda_describes_as_the_cpu_does(small_model: Path, precision: str) -> None:
    images = trial_images()
    cuda = TorchEncoder(load_model(small_model), torch.device("cuda"), precision)
    expected = TorchEncoder(load_model(small_model), CPU).encode(images)
    assert agreement(cuda.encode(images), expected) > 0.998


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_replayed_graph_describes_each_image_as_a_batch_does(small_model: Path) -> None:
    images = trial_images()
    encoder = TorchEncoder(load_model(small_model), torch.device("cuda"))
    one_by_one = np.concatenate([encoder.encode([image]) for image in images])
    assert agreement(one_by_one, encoder.encode(images)) > 0.9999
