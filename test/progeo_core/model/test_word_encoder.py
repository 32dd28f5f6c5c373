from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch

from progeo_core.errors import UsageError
from progeo_core.model.word_encoder import load_word_encoder

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
