"""The identity of a model: descriptors compare only between equal fingerprints."""

from __future__ import annotations

import dataclasses
import re


@dataclasses.dataclass(frozen=True)
class ModelFingerprint:
    """Identity of what turned images into descriptors.

    architecture: backbone and head, for example "CLIP-RN50+GeM".
    dimension: descriptor length D.
    preprocessing: input size, resampling and normalisation, one readable line.
    weights_sha256: hex digest of the weights.
    normalized: whether descriptors have unit length.
    name: label for messages; two models that differ only here are equal.
    """

    architecture: str
    dimension: int
    preprocessing: str
    weights_sha256: str
    normalized: bool = True
    name: str = dataclasses.field(default="", compare=False)

    @property
    def image_side(self) -> int:
        """Return the longest side (pixels) of images that its networks see, 0 if not stated."""
        stated = re.findall(r"\b(\d+)x(\d+)\b", self.preprocessing)
        return max((int(side) for size in stated for side in size), default=0)

    def __str__(self) -> str:
        """Return one readable line for messages."""
        label = self.name or self.architecture
        return (
            f"{label} ({self.architecture}, {self.dimension}-D, {self.preprocessing},"
            f" sha256 {self.weights_sha256[:12]})"
        )
