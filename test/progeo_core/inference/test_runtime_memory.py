from pathlib import Path

import numpy as np
import pytest
import torch

from progeo_core.inference.runtime import REFERENCE, Variant
from progeo_core.inference.runtime_memory import (
    Remembered,
    RuntimeMemory,
    cache_folder,
    exported_file,
)

CPU = torch.device("cpu")
MODEL = "tiny+GeM 8x8 bilinear"


def test_follows_the_desktop_standard(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "progeo"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/robot")
    assert cache_folder() == Path("/home/robot/.cache/progeo")


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> RuntimeMemory:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return RuntimeMemory(MODEL, CPU, [REFERENCE])


def test_remembers_an_outcome_for_the_same_question_alone(memory: RuntimeMemory) -> None:
    assert memory.read() is None
    expected = np.array([[0.6, 0.8], [1.0, 0.0]], np.float32)
    memory.write(Remembered(REFERENCE, expected))
    read = RuntimeMemory(MODEL, CPU, [REFERENCE]).read()
    assert read is not None
    assert read.variant == REFERENCE
    np.testing.assert_allclose(read.expected, expected, atol=1e-6)
    assert RuntimeMemory(MODEL, CPU, [Variant("onnx", "float32")]).read() is None


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{}", "[" * 100_000, '{"schema": 1, "runtime": "torch", "precision": "float32"}'],
)
def test_a_damaged_memory_is_none(memory: RuntimeMemory, content: str) -> None:
    memory.write(Remembered(REFERENCE, np.ones((1, 2), np.float32)))
    (file,) = cache_folder().iterdir()
    file.write_text(content)
    assert memory.read() is None


def test_every_network_has_its_own_export(memory: RuntimeMemory) -> None:
    assert exported_file(MODEL) == exported_file(MODEL)
    assert exported_file(MODEL) != exported_file("tiny+SPoC 8x8 bilinear")
    assert exported_file(MODEL).parent == cache_folder()
