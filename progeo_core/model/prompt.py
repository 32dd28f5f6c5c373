"""Prompts of place classes: "A photo of a X X X X street." with four learnable X per class."""

from __future__ import annotations

import open_clip
import torch
from torch import Tensor, nn

PROMPT = "A photo of a X X X X street."
_CONTEXT = slice(5, 9)  # the four X; start token and "a photo of a" come before


def prompt_tokens() -> Tensor:
    """Return the token ids of the prompt, int64 [1, 77]."""
    tokens: Tensor = open_clip.tokenize([PROMPT])
    return tokens


class PromptLearner(nn.Module):
    """Learnable vectors `cls_ctx` [classes, 4, W] and the frozen rest of the prompt.

    Parameter and buffers have the authors' names and shapes.
    """

    token_prefix: Tensor
    token_suffix: Tensor

    def __init__(self, token_embedding: nn.Embedding, classes: int) -> None:
        super().__init__()
        tokens = prompt_tokens()
        with torch.no_grad():
            embedded = token_embedding(tokens.to(token_embedding.weight.device))
        self.register_buffer("token_prefix", embedded[:, : _CONTEXT.start])
        self.register_buffer("token_suffix", embedded[:, _CONTEXT.stop :])
        context = torch.empty(classes, _CONTEXT.stop - _CONTEXT.start, embedded.shape[2])
        self.cls_ctx = nn.Parameter(nn.init.normal_(context, std=0.02))
        # The end token has the largest id; the padding behind it changes nothing (see TextEncoder).
        self._suffix_length = int(tokens.argmax()) + 1 - _CONTEXT.stop

    def forward(self, labels: Tensor) -> Tensor:
        """Embed the prompts of class labels [n] up to their end token, [n, t, W]."""
        count = len(labels)
        prefix = self.token_prefix.expand(count, -1, -1)
        suffix = self.token_suffix[:, : self._suffix_length].expand(count, -1, -1)
        return torch.cat([prefix, self.cls_ctx[labels], suffix], dim=1)
