"""Real images under '@' names, and networks small enough to train in a test."""

import importlib.util
from pathlib import Path

import pytest
import torch
from torch import nn

from progeo_core.records.cosplace_names import ImageName, format_name

# Networks as small as these only lose time by sharing their work.
torch.set_num_threads(1)

CELL_M = 10
IMAGES_PER_CELL_AND_PASS = 5


def link_as_place(image: Path, folder: Path, number: int) -> None:
    """Link an image under the '@' name of the `number`-th place along a straight corridor."""
    fields = ImageName(
        east_m=500_000 + number * CELL_M / IMAGES_PER_CELL_AND_PASS,
        north_m=4_000_005.0,
        zone=32,
        letter="S",
        heading_deg=90,
        note=f"{image.parent.name}{image.stem}",
    )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / format_name(fields)).symlink_to(image)


@pytest.fixture(scope="session")
def dataset(corridor: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with train/ (60 places seen twice: 12 classes) and val/ (20 others)."""
    root = tmp_path_factory.mktemp("dataset")
    for traverse, role in (("ref", "database"), ("query", "queries")):
        for number, image in enumerate(sorted((corridor / traverse).iterdir())[:80]):
            in_train = number < 60
            link_as_place(image, root / "train" if in_train else root / "val" / role, number)
    return root


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
