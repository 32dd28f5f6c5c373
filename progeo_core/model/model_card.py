"""The model card: what `model.json` says of the weights beside it."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any, NamedTuple

from progeo_core.descriptors.fingerprint import ModelFingerprint
from progeo_core.errors import DataError
from progeo_core.model.architecture import Architecture, Head
from progeo_core.model.preprocessing import RESAMPLINGS, Preprocessing

SCHEMA = 1
# Where files of other formats keep the card: the name of an entry in their metadata.
CARD_PROPERTY = "progeo_model_card"
_MAX_BYTES = 1 << 20
_MAX_SIZE = 16_384  # pixels of an image's side, and length of a descriptor


class LocalFeatures(NamedTuple):
    """What a model joins to the descriptor of its network (see `LocalHead`).

    extractor: names the local features. size_px: longest side of the images that they are found in.
    words: of their VLAD. dimension: length D of the joined descriptor.
    """

    extractor: str
    size_px: int
    words: int
    dimension: int


@dataclasses.dataclass(frozen=True)
class ModelCard:
    """Description of a model by which it can be built, run and recognised.

    normalized: whether the encoder scales descriptors to unit length (the authors' ViTs do not).
    weights_sha256: see `sha256_of`. source, licence: where the weights are from, for people.
    local: the local features that are joined to what the architecture gives, None for none.
    """

    name: str
    architecture: Architecture
    preprocessing: Preprocessing
    weights_sha256: str
    normalized: bool = True
    source: str = ""
    licence: str = ""
    local: LocalFeatures | None = None

    @property
    def network_alone(self) -> ModelCard:
        """Return the card of the model without its local head."""
        return dataclasses.replace(self, local=None)

    @property
    def fingerprint(self) -> ModelFingerprint:
        """Identify the descriptors of this model."""
        architecture, dimension = str(self.architecture), self.architecture.dimension
        preprocessing = str(self.preprocessing)
        if self.local is not None:
            extractor, size_px, words, dimension = self.local
            architecture = f"{architecture}+VLAD{words}"
            preprocessing = f"{preprocessing}; {extractor} in {size_px}x{size_px} at most"
        return ModelFingerprint(
            architecture=architecture,
            dimension=dimension,
            preprocessing=preprocessing,
            weights_sha256=self.weights_sha256,
            normalized=self.normalized,
            name=self.name,
        )

    def to_json(self) -> dict[str, Any]:
        """Return the content of `model.json`."""
        architecture = dataclasses.asdict(self.architecture)
        local = {} if self.local is None else {"local": self.local._asdict()}
        return {
            "schema": SCHEMA,
            "name": self.name,
            "architecture": {**architecture, "head": self.architecture.head.value},
            "preprocessing": self.preprocessing._asdict(),
            "normalized": self.normalized,
            "weights_sha256": self.weights_sha256,
            "source": self.source,
            "licence": self.licence,
            **local,
        }


def read_model_card(path: Path) -> ModelCard:
    """Read `model.json`; raise `DataError` when it is missing, damaged or of a newer schema."""
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    return parse_model_card(content, path)


def parse_model_card(content: bytes | str, path: Path) -> ModelCard:
    """Return the card in the content of `model.json`; raise `DataError` that names the path."""
    try:
        if len(content) > _MAX_BYTES:
            raise ValueError("too long for a card")
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: not JSON ({error}); import the model again") from error
    schema = document.get("schema") if isinstance(document, dict) else None
    if isinstance(schema, int) and schema > SCHEMA:
        raise DataError(
            f"{path}: written by a newer version (schema {schema}, this one reads {SCHEMA}):"
            " update progeo, or import the model again"
        )
    try:
        return _parsed(document)
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
        raise DataError(
            f"{path}: not a model card ({type(error).__name__}: {error}); import the model again"
        ) from error


def _parsed(content: dict[str, Any]) -> ModelCard:
    if type(content["schema"]) is not int:
        raise TypeError(f"schema is {content['schema']!r}, not a whole number")
    architecture = {**content["architecture"]}
    architecture["head"] = Head(architecture["head"])
    preprocessing = {**content["preprocessing"]}
    for key in ("mean", "std"):
        preprocessing[key] = tuple(float(value) for value in preprocessing[key])
    card = ModelCard(
        name=content["name"],
        architecture=Architecture(**architecture),
        preprocessing=Preprocessing(**preprocessing),
        weights_sha256=content["weights_sha256"],
        normalized=content["normalized"],
        source=content["source"],
        licence=content["licence"],
        local=LocalFeatures(**content["local"]) if "local" in content else None,
    )
    _check_texts(card)
    _check_numbers(card)
    return card


def _check_texts(card: ModelCard) -> None:
    texts = {"name": card.name, "source": card.source, "licence": card.licence}
    texts |= {"backbone": card.architecture.backbone, "weights_sha256": card.weights_sha256}
    if card.local is not None:
        texts |= {"extractor": card.local.extractor}
    for name, value in texts.items():
        if not isinstance(value, str):
            raise TypeError(f"{name} is {value!r:.50}, not a text")
    flags = {"normalized": card.normalized, "with_text": card.architecture.with_text}
    for name, flag in flags.items():
        if not isinstance(flag, bool):
            raise TypeError(f"{name} is {flag!r:.50}, not true or false")


def _check_numbers(card: ModelCard) -> None:
    seen = card.preprocessing
    sizes = {"dimension": card.architecture.dimension, "height": seen.height, "width": seen.width}
    if card.local is not None:
        sizes |= {"size_px": card.local.size_px, "words": card.local.words}
        sizes |= {"dimension of the local head": card.local.dimension}
    for name, value in sizes.items():
        if type(value) is not int or not 0 < value <= _MAX_SIZE:
            raise ValueError(f"{name} is {value!r:.50}, not a number from 1 to {_MAX_SIZE}")
    if seen.resampling not in RESAMPLINGS:
        raise ValueError(f"unknown resampling {seen.resampling!r:.50}")
    statistics = (*seen.mean, *seen.std)
    if len(seen.mean) != 3 or len(seen.std) != 3 or not all(map(math.isfinite, statistics)):
        raise ValueError("mean and std are not three finite numbers each")
    if min(seen.std) <= 0:
        raise ValueError("std is not positive")
