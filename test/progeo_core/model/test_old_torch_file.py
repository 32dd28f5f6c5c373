"""Files as torch wrote them before version 1.6, and as somebody who means harm does."""

from __future__ import annotations

import os
import pickle
import struct
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from progeo_core.errors import DataError
from progeo_core.model.torch_file import read_torch_file
from progeo_core.model.weights import read_state

SIZES = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"int": 4}}
HEAD = b"".join(pickle.dumps(one, 2) for one in (0x1950A86A20F9469CFC6C, 1001, SIZES))


def old(content: object, path: Path) -> Path:
    torch.save(content, path, _use_new_zipfile_serialization=False)
    return path


def claiming(count: int, stored: int) -> bytes:
    """Return a file whose one tensor claims so many numbers, and has so many."""
    number = b"\x8a\x08" + struct.pack("<q", count)
    storage = b"(X\7\0\0\0storagectorch\nFloatStorage\nX\1\0\0\0" + b"0X\3\0\0\0cpu"
    tensor = b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + number + b"NtQK\0"
    content = b"\x80\x02}X\1\0\0\0w" + tensor + number + b"\x85K\1\x85\x89NtRs."
    return HEAD + content + pickle.dumps(["0"], 2) + struct.pack("<q", stored) + bytes(4 * stored)


def test_gives_what_torch_gives(tmp_path: Path) -> None:
    whole = torch.arange(24.0).reshape(4, 6)
    content: dict[str, Any] = {
        "model_state_dict": nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)).state_dict(),
        "shared": [whole, whole.T, whole[1:, ::2], whole[:0]],
        "others": [whole.half(), whole.long(), nn.Parameter(whole), torch.empty(0)],
        "numbers": [1, 2.5, None, "text", (True, [])],
    }
    read = read_torch_file(old(content, tmp_path / "old.pth"))
    assert read["numbers"] == content["numbers"]
    for name in ("shared", "others"):
        for one, two in zip(read[name], content[name], strict=True):
            assert torch.equal(one, two)
            assert one.dtype == two.dtype
    for name, weight in content["model_state_dict"].items():
        assert torch.equal(read["model_state_dict"][name], weight)
    assert torch.equal(read_torch_file(_write(tmp_path, claiming(3, 3)))["w"], torch.zeros(3))


def _write(folder: Path, content: bytes) -> Path:
    (folder / "claims.pth").write_bytes(content)
    return folder / "claims.pth"


@pytest.mark.parametrize("first", [False, True])
def test_runs_nothing(tmp_path: Path, first: bool) -> None:
    planted = tmp_path / "planted"

    class Hostile:
        def __reduce__(self) -> Any:
            return os.system, (f"touch {planted}",)

    path = old({"w": torch.ones(2), "x": Hostile()}, tmp_path / "hostile.pth")
    if first:
        path.write_bytes(pickle.dumps(Hostile(), 2) + HEAD)
    with pytest.raises(DataError, match=r"hostile.pth: .*names posix.system") as refusal:
        read_state(path)
    assert str(refusal.value).isprintable()
    assert "weights_only" not in str(refusal.value)
    assert not planted.exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (claiming(10**12, 4), "claims more numbers than the file holds"),
        (claiming(-1, 4), "claims more numbers than the file holds"),
        (claiming(4, 3), "cut off"),
        (claiming(4, 4)[:-1], "cut off"),
        pytest.param(
            HEAD + b"\x80\x02" + b"]" * 1_000_001,
            "longer than weights need",
            marks=pytest.mark.slow,
        ),
        (HEAD + b"\x80\x02}N" + b"\x85" * 1000 + b"Ns.", "a tuple is the key"),
        (pickle.dumps({"w": 1}, 2), "no file of torch.save"),
        (b"", "STOP"),
    ],
    ids=["terabytes", "negative", "shorter", "cut", "deep", "deep key", "plain pickle", "empty"],
)
def test_refuses_in_one_line(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "hostile.pth"
    path.write_bytes(content)
    with pytest.raises(DataError, match=f"hostile.pth: .*{message}") as refusal:
        read_state(path)
    assert str(refusal.value).isprintable()
