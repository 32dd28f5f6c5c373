import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import open_clip
import pytest
import torch
from open_clip.model import set_model_preprocess_cfg
from open_clip.push_to_hf_hub import save_for_hf

from progeo_core.errors import DataError, UsageError
from progeo_core.model.hf_folder import read_hf_folder
from progeo_core.model.model_info import describe_model
from progeo_core.model.named_model import load_named_model
from progeo_core.model.preprocessing import Preprocessing

VISION = {"image_size": 32, "layers": 2, "width": 64, "patch_size": 16}
TEXT = {"context_length": 8, "vocab_size": 50, "width": 32, "heads": 2, "layers": 1}
NETWORK = {"embed_dim": 24, "vision_cfg": VISION, "text_cfg": TEXT}


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, torch.nn.Module]:
    """Save a small CLIP with QuickGELU as open_clip does for Hugging Face; return both."""
    configs = tmp_path_factory.mktemp("configs")
    for name, quick in (("hf-clip", {}), ("hf-clip-quickgelu", {"quick_gelu": True})):
        (configs / f"{name}.json").write_text(json.dumps(NETWORK | quick))
    open_clip.add_model_config(configs)
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("hf") / "my-clip"
    clip = open_clip.create_model("hf-clip-quickgelu").eval()
    seen = {"mean": (0.5, 0.4, 0.3), "std": (0.2, 0.3, 0.2), "interpolation": "bicubic"}
    set_model_preprocess_cfg(clip, seen)
    no_words = SimpleNamespace(save_pretrained=lambda _: None)
    save_for_hf(clip, no_words, NETWORK | {"quick_gelu": True}, folder)
    return folder, clip


def test_a_folder_gives_the_network_that_was_saved(
    published: tuple[Path, torch.nn.Module], caplog: pytest.LogCaptureFixture
) -> None:
    folder, clip = published
    found = load_named_model(f"hf:{folder}", with_text=True)
    assert found.card.architecture.backbone == "hf-clip-quickgelu"
    assert found.card.name == f"hf:{folder}"
    assert found.network.text_encoder is not None
    seen = Preprocessing(32, 32, "bicubic", (0.5, 0.4, 0.3), (0.2, 0.3, 0.2))
    assert found.card.preprocessing == seen
    assert caplog.text == ""
    images = torch.rand(2, 3, 32, 32)
    with torch.inference_mode():
        encode: Any = clip.encode_image
        assert torch.allclose(found.network(images), encode(images), atol=1e-5)
    info = describe_model(f"hf:{folder}")
    assert info.preprocessing == str(seen)
    assert info.path == str(folder / "open_clip_model.safetensors")


def test_of_the_hubs_cache_the_snapshot_of_main_is_read(
    published: tuple[Path, torch.nn.Module], tmp_path: Path
) -> None:
    cached = tmp_path / "models--me--my-clip"
    (cached / "snapshots" / "old").mkdir(parents=True)
    (cached / "snapshots" / "new").symlink_to(published[0])
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text("new")
    found = read_hf_folder(f"hf:{cached}")
    assert found is not None
    assert found.weights == cached / "snapshots" / "new" / "open_clip_model.safetensors"


def test_other_names_are_none() -> None:
    assert read_hf_folder("ViT-B-32:openai") is None


def test_a_folder_has_to_be_named_and_to_be_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="write it as hf:FOLDER"):
        read_hf_folder("hf:")
    with pytest.raises(DataError, match="nowhere: no such folder"):
        read_hf_folder(f"hf:{tmp_path / 'nowhere'}")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (None, "open_clip_config.json: missing; take a model"),
        ("{", "cannot be read"),
        ("[]", "describes no network"),
        ({}, "describes no network .'model_cfg'"),
        ({"model_cfg": {**NETWORK, "vision_cfg": {"eyes": 2}}}, "describes no network .*eyes"),
        ({"model_cfg": {**NETWORK, "embed_dim": 25}}, "is none of open_clip"),
        ({"model_cfg": NETWORK, "preprocess_cfg": {"std": [0, 0, 0]}}, "describes no network"),
        ({"model_cfg": NETWORK, "preprocess_cfg": {"mean": "x"}}, "describes no network"),
    ],
)
def test_says_what_is_wrong_with_a_folder(tmp_path: Path, config: object, message: str) -> None:
    text = config if isinstance(config, str) else json.dumps(config)
    if config is not None:
        (tmp_path / "open_clip_config.json").write_text(text)
    (tmp_path / "open_clip_model.safetensors").touch()
    with pytest.raises(DataError, match=message):
        load_named_model(f"hf:{tmp_path}")


def test_says_that_weights_are_missing(tmp_path: Path) -> None:
    (tmp_path / "open_clip_config.json").write_text(json.dumps({"model_cfg": NETWORK}))
    with pytest.raises(DataError, match=r"holds none of open_clip_model\.safetensors"):
        load_named_model(f"hf:{tmp_path}")
