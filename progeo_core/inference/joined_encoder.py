"""The encoder that joins a network's descriptor with the local features of the same image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from progeo_core.descriptors.encoder import Encoder, runtime_of
from progeo_core.descriptors.fingerprint import ModelFingerprint
from progeo_core.errors import ModelMismatchError
from progeo_core.images.codec import Image
from progeo_core.inference.feature_extractor import FeatureExtractor
from progeo_core.model.local_head import LocalHead
from progeo_core.model.model_card import ModelCard


class JoinedEncoder:
    """Encoder of a model with a local head; each of its two networks runs where it is fastest.

    The extractor keeps the local features of the images, so that verification finds them there.
    """

    def __init__(
        self, card: ModelCard, network: Encoder, extractor: FeatureExtractor, head: LocalHead
    ) -> None:
        """Raise `ModelMismatchError` where the head was made for other local features."""
        if card.local is None or card.local.extractor != extractor.name:
            made_for = "none" if card.local is None else card.local.extractor
            raise ModelMismatchError(
                f"{card.name}: made for the local features {made_for}, and this version finds"
                f" {extractor.name}; use another model"
            )
        self._card, self._network = card, network
        self._extractor, self._head = extractor, head

    @property
    def fingerprint(self) -> ModelFingerprint:
        """Identify the model."""
        return self._card.fingerprint

    @property
    def runs_in(self) -> str:
        """Return what runs the network that is not the local features'."""
        return runtime_of(self._network)

    def encode(self, images: Sequence[Image]) -> NDArray[np.float32]:
        """Describe RGB uint8 images [h, w, 3] of any sizes as float32 [n, D], in order.

        Raises `ImageError` for an array that is no such image.
        """
        described = self._network.encode(images)
        features = self._extractor.find(images)
        descriptors = np.empty((len(images), self.fingerprint.dimension), np.float32)
        for row, own in enumerate(features):
            descriptors[row] = self._head.join(described[row], own.descriptors)
        return descriptors
