from __future__ import annotations

import http.server
import logging
import threading
from collections.abc import Iterator
from pathlib import Path

import open_clip
import pytest
from huggingface_hub import constants

from progeo_core.errors import DataError, UsageError
from progeo_core.model.backbone import clip_config
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
