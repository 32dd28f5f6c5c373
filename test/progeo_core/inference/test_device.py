from __future__ import annotations

import os

import pytest
import torch

from progeo_core.errors import UsageError
from progeo_core.inference import device
from progeo_core.inference.device import choose_device, find_device, limit_threads, thread_count
from progeo_core.inference.loading import load_encoder


def test_takes_a_graphics_card_where_there_is_one() -> None:
    assert choose_device().type == ("cuda" if torch.cuda.is_available() else "cpu")
    assert choose_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize("name", ["cuda:99", "gpu", "meta", ""])
def test_refuses_a_device_that_is_not_there(name: str) -> None:
    with pytest.raises(UsageError, match=f"device '{name}'.* 'cpu'") as refusal:
        load_encoder(device=name)
    assert "\n" not in str(refusal.value)


def test_the_cpu_is_found_without_torch_where_no_driver_of_a_gpu_is(monkeypatch):
    assert (str(find_device("cpu")), find_device("cpu").type) == ("cpu", "cpu")
    monkeypatch.setattr(device, "_has_gpu_driver", lambda: True)
    assert find_device() == choose_device()
    monkeypatch.setattr(device, "_has_gpu_driver", lambda: False)
    assert str(find_device()) == "cpu"
    with pytest.raises(UsageError, match="device 'meta' computes nothing"):
        find_device("meta")


def test_threads_are_those_that_are_said_or_no_more_than_this_process_has(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3,2")
    assert thread_count() == 3
    monkeypatch.setenv("OMP_NUM_THREADS", "none")
    assert 1 <= thread_count() <= (os.cpu_count() or 1)


def test_threads_can_be_limited_for_what_is_loaded_later(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    before = torch.get_num_threads()
    try:
        limit_threads(2)
        assert (thread_count(), torch.get_num_threads()) == (2, 2)
    finally:
        torch.set_num_threads(before)
