import resource
import signal
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from progeo_core.errors import DataError
from progeo_core.train.checkpoint import load_checkpoint, save_checkpoint


@pytest.fixture
def full_disk() -> Iterator[None]:
    """Let no file of this process grow beyond 64 kB, as a full disk would."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (65536, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    signal.signal(signal.SIGXFSZ, handler)


def test_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "new" / "last_checkpoint.pth"
    save_checkpoint({"epoch_num": 3, "weights": [torch.arange(4)]}, path)
    loaded = load_checkpoint(path)
    assert loaded["epoch_num"] == 3
    assert torch.equal(loaded["weights"][0], torch.arange(4))


@pytest.mark.usefixtures("full_disk")
def test_a_full_disk_leaves_the_last_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "last_checkpoint.pth"
    save_checkpoint({"epoch_num": 1}, path)
    with pytest.raises(DataError, match=r"cannot be written \(File too large\).* free some"):
        save_checkpoint({"epoch_num": 2, "weights": torch.zeros(1_000_000)}, path)
    assert load_checkpoint(path) == {"epoch_num": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["last_checkpoint.pth"]


@pytest.mark.parametrize("module", ["numpy.core.multiarray", "numpy._core.multiarray"])
def test_numbers_of_numpy_are_read(tmp_path: Path, module: str) -> None:
    """Both versions of NumPy write them, under different names."""
    path = tmp_path / "last_checkpoint.pth"
    numbers = {"best_val_recall1": np.float64(84.9), "single": np.float32(0.5), "n": np.int64(3)}
    torch.save(numbers, path, pickle_protocol=2)
    rename_in_zip(path, b"numpy._core.multiarray", module.encode())
    assert load_checkpoint(path) == numbers


def rename_in_zip(path: Path, old: bytes, new: bytes) -> None:
    """Replace a text in the pickle of a checkpoint."""
    with zipfile.ZipFile(path) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in contents.items():
            archive.writestr(name, content.replace(old, new))


def test_missing_damaged_and_foreign_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such checkpoint"):
        load_checkpoint(tmp_path / "none.pth")
    damaged = tmp_path / "damaged.pth"
    save_checkpoint({"weights": torch.zeros(1000)}, damaged)
    damaged.write_bytes(damaged.read_bytes()[:500])
    with pytest.raises(DataError, match=r"damaged.pth: damaged, or not a checkpoint"):
        load_checkpoint(damaged)
    code = tmp_path / "code.pth"
    torch.save({"run": print}, code)
    with pytest.raises(DataError, match=r"code.pth: damaged, or not a checkpoint"):
        load_checkpoint(code)
