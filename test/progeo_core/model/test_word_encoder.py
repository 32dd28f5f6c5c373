from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch

from progeo_core.errors import UsageError
from progeo_core.inference.loading import load_encoder
from progeo_core.model.architecture import Architecture, Head
from progeo_core.model.authors_checkpoint import import_checkpoint
from progeo_core.model.network import build_blank_network
from progeo_core.model.word_encoder import load_word_encoder
from test.progeo_core.model import seeded

SMALL = "ViT-S-32-alt"
TEXTS = ["loading dock with a yellow gate", "a corridor", "words " * 100]


@pytest.mark.slow
def test_texts_are_those_of_open_clip(tmp_path: Path) -> None:
    torch.manual_seed(0)
    clip: Any = open_clip.create_model(SMALL).eval()
    path = tmp_path / "clip.pt"
    torch.save(clip.state_dict(), path)
    encoder = load_word_encoder(f"{SMALL}:{path}")
    with torch.inference_mode():
        wanted = clip.encode_text(open_clip.get_tokenizer(SMALL)(TEXTS), normalize=True)
    np.testing.assert_allclose(encoder.encode(TEXTS), wanted.numpy(), atol=1e-5)
    assert encoder.fingerprint.name == f"{SMALL}:{path}"


@pytest.mark.slow
def test_texts_of_a_trained_resnet_are_in_the_space_of_its_head(tmp_path: Path) -> None:
    """The head of ProGEO's ResNets is trained with texts, where CLIP's own pooling is not used."""
    text = {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 2}
    vision = {"image_size": 64, "layers": [1, 1, 1, 1], "width": 8}
    config = {"embed_dim": 16, "vision_cfg": vision, "text_cfg": text}
    (tmp_path / "small-resnet.json").write_text(json.dumps(config))
    open_clip.add_model_config(tmp_path / "small-resnet.json")
    architecture = Architecture("small-resnet", Head.GEM_LINEAR, 16, with_text=True)
    state = seeded.state_like(build_blank_network(architecture).state_dict())
    torch.save(state, tmp_path / "best_model.pth")
    folder = tmp_path / "site"
    options: Any = {"with_text": True, "image_size": 64}
    import_checkpoint(tmp_path / "best_model.pth", "small-resnet", folder, **options)

    encoder = load_word_encoder(str(folder))
    assert encoder.fingerprint == load_encoder(str(folder), "cpu", "torch").fingerprint
    assert encoder.fingerprint.architecture == "small-resnet+GeM+Linear"
    clip: Any = open_clip.create_model("small-resnet").eval()
    names = {key.removeprefix("text_encoder."): weight for key, weight in state.items()}
    missing = clip.load_state_dict(names, strict=False).missing_keys
    assert all(key.startswith(("visual.", "logit_scale")) for key in missing)
    with torch.inference_mode():
        wanted = clip.encode_text(open_clip.tokenize(TEXTS), normalize=True)
    np.testing.assert_allclose(encoder.encode(TEXTS), wanted.numpy(), atol=1e-5)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("mobilenetv2-gem", "never trained with texts"),
        ("mobilenetv2-vlad", "never trained with texts"),
        ("progeo-tiny", "has no text side; import it again with --with-text"),
        ("megaloc", "nothing is known of its text side"),
    ],
)
def test_models_without_words_are_refused_with_the_reason(model: str, message: str) -> None:
    with pytest.raises(UsageError, match=f"{model}: .*{message}"):
        load_word_encoder(model)
