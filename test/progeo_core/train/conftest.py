"""Real images under '@' names, and networks small enough to train in a test."""

import importlib.util
from pathlib import Path

import pytest
import torch
from torch import nn

from test.corridor_dataset import make_dataset

# Networks as small as these only lose time by sharing their work.
torch.set_num_threads(1)


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with train/ (60 places seen twice: 12 classes) and val/ (20 others)."""
    return make_dataset(tmp_path_factory.mktemp("dataset"))


class TinyNetwork(nn.Module):
    """Describe images [n, 3, h, w] with values 0-1 by 16 numbers of unit length."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 8, 5, 4), nn.ReLU(), nn.Conv2d(8, 16, 3, 2), nn.AdaptiveAvgPool2d(1)
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return nn.functional.normalize(self.layers(images).flatten(1))


@pytest.fixture
def network() -> nn.Module:
    torch.manual_seed(0)
    return TinyNetwork()


@pytest.fixture(scope="session")
def tiny_models() -> None:
    """Make the models of tiny_run.py known in this process."""
    path = Path(__file__).parent / "tiny_run.py"
    spec = importlib.util.spec_from_file_location("tiny_run", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.register_models()
