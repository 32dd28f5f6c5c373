from __future__ import annotations

from typing import Any

import open_clip
import pytest
import torch

from progeo_core.errors import UsageError
from progeo_core.model.clip_backbone import build_clip
from progeo_core.model.text_encoder import text_side


@torch.inference_mode()
def test_encodes_prompts_as_open_clip_encodes_their_tokens() -> None:
    torch.manual_seed(0)
    clip: Any = build_clip("ViT-S-32-alt", with_text=True).eval()
    side = text_side(clip, "ViT-S-32-alt")
    tokens = open_clip.tokenize(["a photo of a street", "a much longer photo of a corridor"])
    for row in tokens:
        length = int(row.argmax()) + 1  # the end token has the largest number
        ours = side.encoder(side.token_embedding(row[None, :length]))
        assert torch.allclose(ours, clip.text(row[None]), atol=1e-5)


@pytest.mark.parametrize("name", ["ViT-B-16-SigLIP", "roberta-ViT-B-32"])
def test_refuses_text_towers_that_are_read_elsewhere(name: str) -> None:
    with torch.device("meta"):
        clip = build_clip(name, with_text=True)
    with pytest.raises(UsageError, match=rf"{name}: its text tower cannot take learned prompts"):
        text_side(clip, name)
