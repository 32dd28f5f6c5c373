"""Checkpoints with the authors' names, written by `torch.save` as theirs are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from progeo_core.errors import DataError, ModelMismatchError, UsageError
from progeo_core.images.codec import read_image
from progeo_core.inference.torch_encoder import TorchEncoder
from progeo_core.model.architecture import Architecture, Head
from progeo_core.model.authors_checkpoint import import_checkpoint
from progeo_core.model.backbone import blank_backbone, resize_backbone
from progeo_core.model.model_folder import load_model, read_model
from progeo_core.model.model_info import describe_model
from progeo_core.model.network import build_blank_network
from progeo_core.model.weights import load_weights
from test.progeo_core.model import seeded

pytestmark = pytest.mark.slow  # every test builds networks of full size


def same_everywhere(tensor: Tensor) -> Tensor:
    """Return a tensor of that shape that takes no space in a file."""
    return torch.zeros((), dtype=tensor.dtype).expand(tensor.shape)


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    """Return an RN50 network's weights: a real visual side, and a text side of zeros."""
    architecture = Architecture("CLIP-RN50", Head.GEM_LINEAR, 1024, with_text=True)
    blank = build_blank_network(architecture).state_dict()
    visual = {key: weight for key, weight in blank.items() if key.startswith(("back", "aggr"))}
    text = {key: same_everywhere(blank[key]) for key in blank if key not in visual}
    return {**seeded.state_like(visual), **text}


@pytest.fixture(scope="module")
def best_model(state: dict[str, Tensor], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("authors") / "best_model.pth"
    torch.save(state, path)
    return path


def test_describes_images_with_an_imported_checkpoint(
    best_model: Path, state: dict[str, Tensor], campus_loop: Path, tmp_path: Path
) -> None:
    folder = import_checkpoint(best_model, "CLIP-RN50", tmp_path / "city")
    encoder = TorchEncoder(load_model(folder), torch.device("cpu"))
    image = read_image(campus_loop / "dataset" / "image_0.png")

    visual = {key: weight for key, weight in state.items() if key.startswith(("back", "aggr"))}
    network = build_blank_network(Architecture("CLIP-RN50", Head.GEM_LINEAR, 1024))
    load_weights(network, visual, "seeds")
    pixels = torch.nn.functional.interpolate(
        torch.from_numpy(image).permute(2, 0, 1)[None], (512, 512), mode="bilinear", antialias=True
    )
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    normalized = (pixels / 255 - mean.view(3, 1, 1)) / std.view(3, 1, 1)
    with torch.inference_mode():
        expected = network(normalized).numpy()

    assert np.abs(encoder.encode([image]) - expected).max() < 1e-5
    assert encoder.fingerprint.architecture == "CLIP-RN50+GeM+Linear"
    assert encoder.fingerprint.name == "city"
    assert describe_model(str(folder)).with_text is False


def test_keeps_every_weight_where_the_text_side_is_wanted(
    best_model: Path, state: dict[str, Tensor], tmp_path: Path
) -> None:
    folder = import_checkpoint(best_model, "CLIP-RN50", tmp_path / "city", with_text=True)
    kept = read_model(folder, with_text=True).state

    assert kept.keys() == state.keys()
    assert all(torch.equal(kept[key], state[key]) for key in state)


def test_refuses_another_backbone_and_names_both(best_model: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelMismatchError, match="is a CLIP-RN50 checkpoint, not CLIP-RN101"):
        import_checkpoint(best_model, "CLIP-RN101", tmp_path / "city")
    assert not (tmp_path / "city").exists()


def test_recognises_the_backbone_of_a_checkpoint(best_model: Path) -> None:
    info = describe_model(str(best_model))

    assert (info.form, info.backbone, info.head) == ("checkpoint", "CLIP-RN50", "gem-linear")
    assert (info.dimension, info.with_text) == (1024, True)


def test_keeps_the_authors_raw_output_only_where_it_is_raw(
    best_model: Path, tmp_path: Path
) -> None:
    vit = blank_backbone("CLIP-ViT-B-32").tower
    resize_backbone(vit, 512, 512)
    weights = {f"backbone.{key}": same_everywhere(w) for key, w in vit.state_dict().items()}
    torch.save(weights, tmp_path / "vit.pth")

    raw = import_checkpoint(
        tmp_path / "vit.pth", "CLIP-ViT-B-32", tmp_path / "raw", normalized=False
    )
    unit = import_checkpoint(best_model, "CLIP-RN50", tmp_path / "unit", normalized=False)

    raw_info, unit_info = describe_model(str(raw)), describe_model(str(unit))
    assert (raw_info.normalized, raw_info.head, raw_info.dimension) == (False, "token", 512)
    assert raw_info.preprocessing.startswith("512x512")
    assert unit_info.normalized


def test_a_resnet_sees_the_size_that_it_was_trained_with(best_model: Path, tmp_path: Path) -> None:
    folder = import_checkpoint(best_model, "CLIP-RN50", tmp_path / "small", image_size=224)
    assert describe_model(str(folder)).preprocessing.startswith("224x224")


def test_a_vit_takes_no_other_size_than_it_was_trained_with(tmp_path: Path) -> None:
    vit = blank_backbone("CLIP-ViT-B-32").tower
    weights = {f"backbone.{key}": same_everywhere(w) for key, w in vit.state_dict().items()}
    torch.save(weights, tmp_path / "vit.pth")
    folder = import_checkpoint(
        tmp_path / "vit.pth", "CLIP-ViT-B-32", tmp_path / "same", image_size=224
    )
    assert describe_model(str(folder)).preprocessing.startswith("224x224")
    with pytest.raises(UsageError, match=r"image size 512: .* trained for 224 pixels"):
        import_checkpoint(tmp_path / "vit.pth", "CLIP-ViT-B-32", tmp_path / "other", image_size=512)
    assert not (tmp_path / "other").exists()


def test_needs_a_text_side_to_keep_one(best_model: Path, tmp_path: Path) -> None:
    folder = import_checkpoint(best_model, "CLIP-RN50", tmp_path / "visual")
    with pytest.raises(DataError, match="has no text side"):
        import_checkpoint(
            folder / "model.safetensors", "CLIP-RN50", tmp_path / "text", with_text=True
        )


def test_refuses_what_is_no_checkpoint(best_model: Path, tmp_path: Path) -> None:
    truncated = tmp_path / "truncated.pth"
    truncated.write_bytes(best_model.read_bytes()[:100_000])
    code = tmp_path / "code.pth"
    torch.save({"backbone": Path}, code)
    numbers = tmp_path / "numbers.pth"
    torch.save({"epoch": 3}, numbers)
    other = tmp_path / "other.pth"
    torch.save({"fc.weight": torch.zeros(2)}, other)

    refusals = {
        tmp_path / "missing.pth": "no such checkpoint",
        truncated: "damaged",
        code: "not a checkpoint of tensors",
        numbers: "holds no weights",
        other: "not a ProGEO or CLIP checkpoint",
    }
    for path, message in refusals.items():
        with pytest.raises(DataError, match=message) as refusal:
            import_checkpoint(path, "CLIP-RN50", tmp_path / "city")
        assert str(path) in str(refusal.value)
        assert "\n" not in str(refusal.value)
