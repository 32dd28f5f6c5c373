"""Files as torch writes them, and as somebody who means harm does."""

from __future__ import annotations

import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from progeo_core.model.torch_file import read_torch_file


class Block(nn.Module):
    """Block of CLIP's layout: its mask is a tensor, and no part of the state_dict."""

    def __init__(self) -> None:
        super().__init__()
        self.attn = nn.Linear(4, 4)
        self.attn_mask = torch.zeros(4, 4)
        self.register_buffer("scale", torch.ones(4, dtype=torch.float16))

    def forward(self, tokens: Tensor) -> Tensor:
        return self.attn(tokens) * self.scale + self.attn_mask[0]


class Clip(nn.Module):
    """Two towers with names as those of CLIP."""

    def __init__(self) -> None:
        super().__init__()
        self.visual = nn.Sequential(nn.Conv2d(3, 4, 2), nn.BatchNorm2d(4))
        self.transformer = nn.Sequential(Block(), Block())
        self.logit_scale = nn.Parameter(torch.ones([]))
        self.sizes = {"context": torch.ones(1)}

    def forward(self, images: Tensor) -> Tensor:
        features = self.visual(images).mean((2, 3))
        return self.transformer(features) * self.logit_scale * self.sizes["context"]


class Planter(nn.Module):
    """Module that writes a file as soon as TorchScript restores it."""

    def __init__(self, target: str) -> None:
        super().__init__()
        self.target = target
        self.planted = torch.zeros(1)

    @torch.jit.export
    def __getstate__(self) -> tuple[str, bool]:
        return self.target, self.training

    @torch.jit.export
    def __setstate__(self, state: tuple[str, bool]) -> None:
        self.target, self.training = state
        self.planted = torch.from_file(self.target, True, 64)

    def forward(self, images: Tensor) -> Tensor:
        return images


def script(module: nn.Module, path: Path) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(module), path)
    return path


def rewritten(path: Path, changes: dict[str, bytes], compressed: str = "-") -> Path:
    """Write an archive again with other entries, compressed where the name has that end."""
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in {**entries, **changes}.items():
            kind = zipfile.ZIP_DEFLATED if name.endswith(compressed) else zipfile.ZIP_STORED
            archive.writestr(name, content, kind)
    return path


@pytest.mark.parametrize("in_half", [False, True])
def test_a_torchscript_archive_gives_its_state_dict(tmp_path: Path, in_half: bool) -> None:
    module = Clip().half() if in_half else Clip()
    state = read_torch_file(script(module, tmp_path / "clip.pt"))

    expected = module.state_dict()
    assert state.keys() == expected.keys()
    for name, weight in expected.items():
        assert torch.equal(state[name], weight)
        assert state[name].dtype == weight.dtype


def test_a_traced_archive_gives_its_state_dict(tmp_path: Path) -> None:
    module = Clip().eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.trace(module, torch.ones(1, 3, 8, 8), strict=False).save(tmp_path / "clip.pt")
    state = read_torch_file(tmp_path / "clip.pt")
    assert state.keys() == module.state_dict().keys()


def test_no_program_of_an_archive_runs(tmp_path: Path) -> None:
    planted = tmp_path / "planted.pth"
    module = Clip()
    module.add_module("planter", Planter(str(planted)))
    path = script(module, tmp_path / "clip.pt")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.load(path)
    assert planted.exists(), "the archive is not hostile at all"
    planted.unlink()

    assert read_torch_file(path).keys() == module.state_dict().keys()
    assert not planted.exists()


def test_reads_checkpoints_with_numbers_of_numpy(tmp_path: Path) -> None:
    network = nn.Linear(2, 3)
    optimizer = torch.optim.Adam(network.parameters())
    network(torch.ones(2)).sum().backward()
    optimizer.step()
    content: dict[str, Any] = {
        "epoch_num": 3,
        "model_state_dict": network.state_dict(),
        "optimizer_state_dict": optimizer.state_dict(),
        "best_val_recall1": np.float64(81.5),
        "numbers": [np.int64(-7), np.bool_(True), np.float32(0.5)],
        "weight": nn.Parameter(torch.ones(2, 3).T),
    }
    path = tmp_path / "last_checkpoint.pth"
    torch.save(content, path)

    read = read_torch_file(path)

    assert (read["best_val_recall1"], read["numbers"]) == (81.5, [-7, True, 0.5])
    assert type(read["best_val_recall1"]) is float
    assert torch.equal(read["weight"], content["weight"])
    assert torch.equal(read["model_state_dict"]["weight"], network.weight)
    moments = read["optimizer_state_dict"]["state"][0]["exp_avg"]
    assert torch.equal(moments, optimizer.state_dict()["state"][0]["exp_avg"])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64, torch.int32, torch.bool])
def test_reads_tensors_of_every_kind_and_layout(tmp_path: Path, dtype: torch.dtype) -> None:
    whole = torch.arange(24).reshape(4, 6).to(dtype)
    tensors = [whole.T, whole[1:, ::2], whole[:0], whole[2, 3], whole[:1].expand(5, 6)]
    torch.save(tensors, tmp_path / "tensors.pth")
    read = read_torch_file(tmp_path / "tensors.pth")
    assert all(torch.equal(*pair) for pair in zip(read, tensors, strict=True))


def saved(tmp_path: Path, numbers: int = 1000) -> Path:
    path = tmp_path / "weights.pth"
    torch.save({"w": torch.ones(numbers)}, path)
    return path


def test_refuses_an_archive_that_grows_when_it_is_read(tmp_path: Path) -> None:
    bomb = rewritten(saved(tmp_path, 10_000_000), {}, "/0")
    assert bomb.stat().st_size < 100_000
    with pytest.raises(ValueError, match="is compressed, which torch does not do"):
        read_torch_file(bomb)


def test_refuses_programs_that_grow_when_they_are_read(tmp_path: Path) -> None:
    path = script(Clip(), tmp_path / "clip.pt")
    bomb = rewritten(path, {"clip/code/long.py": bytes(1 << 27)}, "long.py")
    assert bomb.stat().st_size < 1_000_000
    with pytest.raises(ValueError, match="longer than those of any model"):
        read_torch_file(bomb)


def claims(size: str) -> bytes:
    """Return the pickle of a tensor of 1000 numbers with another size, as Python writes it."""
    stored = b"(X\7\0\0\0storagectorch\nFloatStorage\nX\1\0\0\0" + b"0X\3\0\0\0cpuM\xe8\x03tQ"
    return (
        b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(" + stored + size.encode("latin-1") + b"tR."
    )


@pytest.mark.parametrize(
    "size",
    [
        "K\0M\xe9\x03\x85K\1\x85",  # one number too many
        "K\1M\xe8\x03\x85K\1\x85",  # begins after the first
        "K\0K\2\x85M\xe8\x03\x85",
        "J\xff\xff\xff\xffK\1\x85K\1\x85",
        "K\0K\2\x85J\xff\xff\xff\xff\x85",
        "K\0\x8a\x09\0\0\0\0\0\0\0\0\1\x85K\0\x85",  # 2^64 times the same number
    ],
)
def test_refuses_a_tensor_that_claims_other_numbers_than_its_own(tmp_path: Path, size: str) -> None:
    path = rewritten(saved(tmp_path), {"weights/data.pkl": claims(size + "\x89N")})
    with pytest.raises((ValueError, TypeError, RuntimeError)):
        read_torch_file(path)


@pytest.mark.parametrize("damage", range(40))
def test_a_damaged_file_is_an_exception(tmp_path: Path, damage: int) -> None:
    rng = np.random.default_rng(damage)
    content = bytearray(saved(tmp_path, 50).read_bytes())
    if damage % 2:
        del content[int(rng.integers(len(content))) :]
    for place in rng.integers(max(len(content), 1), size=20):
        if content:
            content[place] ^= 1 << int(rng.integers(8))
    path = tmp_path / "damaged.pth"
    path.write_bytes(content)
    try:
        read = read_torch_file(path)
    except Exception:  # of any kind: the caller names the file
        return
    assert isinstance(read, dict)
