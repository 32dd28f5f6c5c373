from __future__ import annotations

import copy
import http.server
import json
import logging
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import open_clip
import pytest
import torch
from huggingface_hub import constants

from progeo_core.errors import DataError, UsageError
from progeo_core.model.authors_checkpoint import import_checkpoint
from progeo_core.model.clip_backbone import clip_config
from progeo_core.model.model_folder import load_model
from progeo_core.model.named_model import load_named_model
from progeo_core.model.preprocessing import Preprocessing
from progeo_core.model.pretrained import (
    backbone_of_weights,
    default_preprocessing,
    default_pretrained,
    pretrained_state,
    pretrained_tags,
)

# Its tag says nothing of the activation; open_clip's description of the model does.
SILENT = {"roberta-ViT-B-32"}


def test_weights_get_the_activation_that_they_were_trained_with() -> None:
    changed = 0
    for name, tag in open_clip.list_pretrained():
        backbone = backbone_of_weights(name, tag)
        wanted = open_clip.get_pretrained_cfg(name, tag).get("quick_gelu", False)
        if name not in SILENT:
            assert clip_config(backbone).get("quick_gelu", False) == wanted, (name, tag)
            assert tag in pretrained_tags(backbone)
        changed += backbone != name
    assert changed >= 27
    assert backbone_of_weights("ViT-B-16", "openai") == "ViT-B-16-quickgelu"
    assert backbone_of_weights("ViT-B-16", "laion2b_s34b_b88k") == "ViT-B-16"
    assert backbone_of_weights("CLIP-ViT-B-16", "openai") == "CLIP-ViT-B-16"
    assert backbone_of_weights("ViT-B-16", "/some/file.pt") == "ViT-B-16"


VISION = {"image_size": 32, "layers": 2, "width": 64, "patch_size": 16}
TEXT = {"context_length": 8, "vocab_size": 50, "width": 32, "heads": 2, "layers": 1}


@pytest.fixture(scope="module")
def small_clip(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the name of a small CLIP that has a sibling with QuickGELU."""
    folder = tmp_path_factory.mktemp("configs")
    config = {"embed_dim": 16, "vision_cfg": VISION, "text_cfg": TEXT}
    for name, quick in (("small-clip", {}), ("small-clip-quickgelu", {"quick_gelu": True})):
        (folder / f"{name}.json").write_text(json.dumps(config | quick))
    open_clip.add_model_config(folder)
    return "small-clip"


@pytest.fixture
def published(small_clip: str, tmp_path: Path) -> tuple[torch.nn.Module, Path]:
    """Return a CLIP with QuickGELU, and its file as OpenAI's are: traced, in half precision."""
    torch.manual_seed(0)
    clip = open_clip.create_model(f"{small_clip}-quickgelu").eval()
    with torch.no_grad():
        for parameter in clip.parameters():
            parameter.copy_(parameter.half().float())
    for name, size in (("input_resolution", 32), ("context_length", 8), ("vocab_size", 50)):
        vars(clip).pop(name, None)  # which open_clip has as a plain number
        clip.register_buffer(name, torch.tensor(size))
    examples = {"encode_image": torch.zeros(1, 3, 32, 32), "encode_text": torch.zeros(1, 8).long()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        traced = torch.jit.trace_module(copy.deepcopy(clip), examples, check_trace=False)
        traced.half().save(str(tmp_path / "ViT-S-16.pt"))
    return clip, tmp_path / "ViT-S-16.pt"


def test_openais_own_files_get_their_activation(
    small_clip: str, published: tuple[torch.nn.Module, Path], tmp_path: Path, monkeypatch, caplog
) -> None:
    clip, path = published
    state = torch.jit.load(path).state_dict()
    assert state["visual.conv1.weight"].dtype == torch.float16
    monkeypatch.setattr(torch.jit, "load", None)  # which would run what is in the file
    images = torch.rand(2, 3, 32, 32)

    named = load_named_model(f"{small_clip}:{path}")
    imported = load_model(import_checkpoint(path, small_clip, tmp_path / "model"))
    torch.save(state, tmp_path / "state.pt")
    unpacked = load_named_model(f"{small_clip}:{tmp_path / 'state.pt'}")

    assert caplog.text == ""
    with torch.inference_mode():
        encode: Any = clip.encode_image
        expected = encode(images)
        for model in (named, imported, unpacked):
            assert model.card.architecture.backbone == "small-clip-quickgelu"
            assert torch.allclose(model.network(images), expected, atol=1e-5)


def test_other_files_are_taken_at_their_word(
    small_clip: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clip = open_clip.create_model(small_clip).eval()
    torch.save(clip.state_dict(), tmp_path / "mine.pt")
    images = torch.rand(2, 3, 32, 32)
    caplog.clear()
    with torch.inference_mode():
        encode: Any = clip.encode_image
        expected = encode(images)
        found = load_named_model(f"{small_clip}:{tmp_path / 'mine.pt'}").network(images)
    assert torch.allclose(found, expected, atol=1e-6)
    (record,) = caplog.records
    assert "mine.pt: does not say what activation" in record.message
    assert "small-clip-quickgelu is for weights of OpenAI" in record.message
    caplog.clear()
    load_named_model(f"{small_clip}-quickgelu:{tmp_path / 'mine.pt'}")
    assert caplog.records == []


@pytest.fixture
def no_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the hub be an address where nothing listens, and the user's cache be empty."""
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))


@pytest.mark.usefixtures("no_hub")
@pytest.mark.parametrize(
    ("backbone", "tag"), [("CLIP-ViT-B-32", "openai"), ("convnext_base", "laion400m_s13b_b51k")]
)
def test_says_in_one_line_that_there_is_no_network(
    backbone: str, tag: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(DataError, match=r"cannot be downloaded .*127.* or give a local file") as no:
        pretrained_state(backbone, tag)
    assert str(no.value).startswith(f"{backbone}:{tag}: ")
    assert [one for one in caplog.records if one.levelno >= logging.WARNING] == []
    assert capfd.readouterr() == ("", "")
    assert not constants.HF_HUB_OFFLINE


class Refusing(http.server.BaseHTTPRequestHandler):
    def do_HEAD(self) -> None:
        self.send_error(503, "busy")

    do_GET = do_HEAD  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:
        """Stay quiet."""


@pytest.fixture
def busy_hub() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_server_that_is_busy_is_a_network(
    busy_hub: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def download(trained: dict[str, object]) -> str:
        asked.append("offline" if constants.HF_HUB_OFFLINE else "online")
        raise RuntimeError("503 busy\nmore")

    monkeypatch.setattr(constants, "ENDPOINT", busy_hub)
    monkeypatch.setattr(open_clip, "download_pretrained", download)
    with pytest.raises(DataError, match=r"downloaded \(503 busy\); connect"):
        pretrained_state("CLIP-RN50", "openai")
    assert asked == ["online"]


def test_only_progeos_backbones_have_weights_by_default() -> None:
    assert default_pretrained("CLIP-RN50") == "openai"
    with pytest.raises(UsageError, match=r"ViT-B-16-SigLIP:TAG.*webli"):
        default_pretrained("ViT-B-16-SigLIP")
    assert pretrained_tags("MobileNetV2") == ()


def test_others_see_what_their_weights_were_trained_with() -> None:
    assert default_preprocessing("CLIP-RN50", "openai", 224) == Preprocessing()
    own = default_preprocessing("ViT-B-16-SigLIP", "webli", 224)
    assert (own.height, own.resampling, own.mean) == (224, "bicubic", (0.5, 0.5, 0.5))
