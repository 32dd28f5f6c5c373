from pathlib import Path

import numpy as np
import pytest
import torch

from progeo_core.descriptors.fingerprint import ModelFingerprint
from progeo_core.inference.runtime import Variant
from progeo_core.inference.runtime_memory import Remembered, RuntimeMemory, cache_folder


def test_follows_the_desktop_standard(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "progeo"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/robot")
    assert cache_folder() == Path("/home/robot/.cache/progeo")


@pytest.mark.parametrize("content", [b"", b"{}", b"[" * 100_000, b'{"runtime": 1, "expected": {}}'])
def test_a_damaged_file_is_as_good_as_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    fingerprint = ModelFingerprint("tiny+GeM", 8, "64x64 bilinear", "ab" * 32, name="tiny")
    memory = RuntimeMemory(fingerprint, torch.device("cpu"), [Variant("torch", "float32")])
    memory.write(Remembered(Variant("torch", "float32"), np.eye(2, 8, dtype=np.float32)))
    assert memory.read() is not None
    (file,) = (tmp_path / "progeo").iterdir()
    file.write_bytes(content)
    assert memory.read() is None
