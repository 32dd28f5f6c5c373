"""CLIP's text side: embedded prompts → text features."""

from __future__ import annotations

from typing import Any, NamedTuple

from open_clip.transformer import TextTransformer
from torch import Tensor, nn

from progeo_core.errors import UsageError


class TextEncoder(nn.Module):
    """CLIP's text transformer for embedded prompts; the keys are the authors'."""

    def __init__(self, text: TextTransformer) -> None:
        super().__init__()
        self.transformer = text.transformer
        self.positional_embedding = text.positional_embedding
        self.ln_final = text.ln_final
        self.text_projection = text.text_projection

    def forward(self, prompts: Tensor) -> Tensor:
        """Encode prompts [n, t, W] that end with the end token: raw features [n, E] at that token.

        Attention is causal, so the padding that CLIP appends cannot change them and is left out.
        """
        length = prompts.shape[1]
        mask = prompts.new_full((length, length), float("-inf")).triu_(1)
        hidden = prompts + self.positional_embedding[:length]
        hidden = self.ln_final(self.transformer(hidden, attn_mask=mask))
        features: Tensor = hidden[:, -1] @ self.text_projection
        return features


class TextSide(NamedTuple):
    """Token embedding and the text encoder of one CLIP model."""

    token_embedding: nn.Embedding
    encoder: TextEncoder


def text_side(clip: nn.Module, name: str) -> TextSide:
    """Return the text side of a model made by `build_clip`.

    Raises `UsageError` naming the backbone where prompts cannot be learned: its text tower is not
    a causal transformer with CLIP's tokens that is read at the end token.
    """
    text: Any = clip.text
    causal = isinstance(text, TextTransformer) and text.attn_mask is not None
    if not causal or text.pool_type != "argmax" or not isinstance(text.text_projection, Tensor):
        raise UsageError(
            f"{name}: its text tower cannot take learned prompts or words; take one of CLIP's own"
            " backbones, or train without prompts"
        )
    return TextSide(text.token_embedding, TextEncoder(text))
