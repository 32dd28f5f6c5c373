"""Prompts of place classes: "A photo of a X X X X street." with learnable X for each class."""

from __future__ import annotations

import open_clip
import torch
from torch import Tensor, nn

from progeo_core.errors import UsageError
from progeo_core.model.prompt_form import PAPERS_FORM, PromptForm

_PREFIX = 5  # start token and "a photo of a"


def prompt_tokens(form: PromptForm = PAPERS_FORM) -> Tensor:
    """Return the token ids of the prompt, int64 [1, 77]."""
    tokens: Tensor = open_clip.tokenize([str(form)])
    return tokens


def word_vectors(token_embedding: nn.Embedding, words: str, count: int) -> Tensor:
    """Return the embeddings [count, W] of words, from which learned vectors may start.

    An underscore is a space, as in CoOp. Raises `UsageError` for words of another number of tokens.
    """
    tokens = open_clip.tokenize([words.replace("_", " ")])[0]
    tokens = tokens[1 : int(tokens.argmax())]  # the end token has the largest id
    if len(tokens) != count:
        raise UsageError(f"--ctx_init '{words}' has {len(tokens)} tokens: give --n_ctx as many")
    with torch.no_grad():
        embedded: Tensor = token_embedding(tokens.to(token_embedding.weight.device))
    return embedded


class PromptLearner(nn.Module):
    """Learnable vectors `cls_ctx` [classes, n, W] and the frozen rest of the prompt.

    Parameter and buffers have the authors' names and, in the paper's form, their shapes.
    """

    token_prefix: Tensor
    token_suffix: Tensor

    def __init__(
        self, token_embedding: nn.Embedding, classes: int, form: PromptForm = PAPERS_FORM
    ) -> None:
        super().__init__()
        # The word of the class in the suffix, wherever it will stand.
        tokens = prompt_tokens(PromptForm(form.n_ctx))
        with torch.no_grad():
            embedded = token_embedding(tokens.to(token_embedding.weight.device))
        behind = _PREFIX + form.n_ctx
        self.register_buffer("token_prefix", embedded[:, :_PREFIX])
        self.register_buffer("token_suffix", embedded[:, behind:])
        context = torch.empty(classes, form.n_ctx, embedded.shape[2])
        self.cls_ctx = nn.Parameter(nn.init.normal_(context, std=0.02))
        self._before_class = form.vectors_before_class
        # The end token has the largest id; the padding behind it changes nothing (see TextEncoder).
        self._suffix_length = int(tokens.argmax()) + 1 - behind

    def forward(self, labels: Tensor) -> Tensor:
        """Embed the prompts of class labels [n] up to their end token, [n, t, W]."""
        count = len(labels)
        prefix = self.token_prefix.expand(count, -1, -1)
        suffix = self.token_suffix[:, : self._suffix_length].expand(count, -1, -1)
        vectors, place = self.cls_ctx[labels], self._before_class
        parts = [prefix, vectors[:, :place], suffix[:, :1], vectors[:, place:], suffix[:, 1:]]
        return torch.cat(parts, dim=1)
