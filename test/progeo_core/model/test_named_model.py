from __future__ import annotations

from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch

from progeo_core.errors import DataError, ModelMismatchError, UsageError
from progeo_core.images.codec import Image, read_image
from progeo_core.inference.loading import load_encoder
from progeo_core.model.named_model import load_named_model

SMALL = "ViT-S-32-alt"  # the smallest of CLIP's layout


@pytest.fixture(scope="module")
def photos(campus_loop: Path) -> list[Image]:
    return [read_image(campus_loop / "dataset" / f"image_{n}.png") for n in range(2)]


@pytest.mark.slow
@pytest.mark.parametrize("backbone", ["convnext_tiny", SMALL, "PE-Core-T-16-384", "RN50"])
def test_any_tower_of_open_clip_describes(backbone: str, photos: list[Image]) -> None:
    encoder = load_encoder(f"{backbone}:none", "cpu")
    descriptors = encoder.encode(photos)

    assert descriptors.shape == (2, encoder.fingerprint.dimension)
    assert np.linalg.norm(descriptors, axis=1) == pytest.approx(1, abs=1e-5)
    assert encoder.fingerprint.name == f"{backbone}:none"


@pytest.mark.slow
@pytest.mark.parametrize("packing", ["state_dict", "training checkpoint", "torchscript"])
def test_takes_weights_from_a_local_file(packing: str, photos: list[Image], tmp_path: Path) -> None:
    clip = open_clip.create_model(SMALL).eval()
    path = tmp_path / "clip.pt"
    if packing == "torchscript":
        torch.jit.script(holder(clip)).save(str(path))
    else:
        state = {f"module.{name}": weight for name, weight in clip.state_dict().items()}
        torch.save({"state_dict": state} if packing == "training checkpoint" else state, path)

    model = load_named_model(f"{SMALL}:{path}")

    image = torch.rand(1, 3, 224, 224)
    with torch.inference_mode():
        assert torch.allclose(model.network(image), clip.encode_image(image), atol=1e-6)


def holder(module: torch.nn.Module) -> torch.nn.Module:
    """Return a module with the same weights by name that scripts without its code."""
    copy = torch.nn.Module()
    for name, child in module.named_children():
        copy.add_module(name, holder(child))
    for name, parameter in module.named_parameters(recurse=False):
        copy.register_parameter(name, parameter)
    return copy


def test_refuses_weights_of_another_tower(tmp_path: Path) -> None:
    torch.save({"visual.conv1.weight": torch.zeros(1)}, tmp_path / "clip.pt")
    with pytest.raises(ModelMismatchError, match="the weights do not fit"):
        load_named_model(f"{SMALL}:{tmp_path / 'clip.pt'}")


def test_says_what_a_path_lacks(tmp_path: Path) -> None:
    checkpoint = tmp_path / "best_model.pth"
    checkpoint.touch()

    with pytest.raises(UsageError, match=r"progeo model import .*best_model.pth"):
        load_encoder(str(checkpoint))
    with pytest.raises(DataError, match=r"model.json is missing"):
        load_encoder(str(tmp_path))
    with pytest.raises(DataError, match="no such model folder"):
        load_encoder(str(tmp_path / "nowhere"))
    with pytest.raises(DataError, match=r"nowhere\.pth: no such file"):
        load_encoder("nowhere.pth")


def test_a_model_of_others_is_not_taken_for_a_backbone() -> None:
    with pytest.raises(UsageError, match="'megaloc': is of others"):
        load_named_model("megaloc")
