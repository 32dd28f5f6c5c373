"""Words in the space of a model's descriptors, for models whose images CLIP aligned with texts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from progeo_core.descriptors.fingerprint import ModelFingerprint
from progeo_core.errors import UsageError
from progeo_core.model.architecture import Head
from progeo_core.model.model_address import parse_model_address
from progeo_core.model.model_folder import Model
from progeo_core.model.named_model import load_named_model


class WordEncoder:
    """CLIP's text side beside a visual side, which makes the descriptors of a map."""

    def __init__(self, model: Model) -> None:
        """Take a model over; `UsageError` where its descriptors cannot be compared with words."""
        network = model.network
        name = model.card.name
        if model.card.local is not None or network.architecture.head is Head.GEM:
            raise UsageError(
                f"{name}: pools its descriptors from a map that was never trained with texts; build"
                " the map with a ViT of CLIP, or with ProGEO's network"
            )
        if network.text_encoder is None or network.token_embedding is None:
            raise UsageError(
                f"{name}: has no text side; import it again with --with-text, or take a model that"
                " has one, such as CLIP-ViT-B-16:openai"
            )
        words, descriptors = network.text_encoder.text_projection.shape[1], model.card.fingerprint
        if words != descriptors.dimension:
            raise UsageError(
                f"{name}: its descriptors have {descriptors.dimension} values and its texts"
                f" {words}, so they cannot be compared"
            )
        self._fingerprint = model.card.fingerprint
        self._embedding, self._encoder = network.token_embedding, network.text_encoder

    @property
    def fingerprint(self) -> ModelFingerprint:
        """Identify the model, as its maps do."""
        return self._fingerprint

    @torch.inference_mode()
    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return texts in the space of descriptors, [n, D] of unit length.

        What is longer than the 75 tokens that CLIP reads is cut off.
        """
        import open_clip

        features = []
        for tokens in open_clip.tokenize(list(texts)):
            length = int(tokens.argmax()) + 1  # the end token has the largest number
            features.append(self._encoder(self._embedding(tokens[None, :length])))
        return np.asarray(F.normalize(torch.cat(features).float(), dim=1).numpy(), np.float32)


def load_word_encoder(model: str) -> WordEncoder:
    """Load the text side of a model by its name; `UsageError` where it has none that fits."""
    if parse_model_address(model) is not None:
        raise UsageError(f"{model}: is of others, and nothing is known of its text side, if any")
    return WordEncoder(load_named_model(model, with_text=True))
