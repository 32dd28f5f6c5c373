"""The model card: what `model.json` says of the weights beside it."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from progeo_core.descriptors.fingerprint import ModelFingerprint
from progeo_core.errors import DataError
from progeo_core.model.aggregation import Head
from progeo_core.model.network import Architecture
from progeo_core.model.preprocessing import RESAMPLINGS, Preprocessing

SCHEMA = 1


@dataclasses.dataclass(frozen=True)
class ModelCard:
    """Describe a model so that it can be built, run and recognised.

    normalized: whether the encoder scales descriptors to unit length (the authors' ViTs do not).
    weights_sha256: see `sha256_of`. source, licence: where the weights are from, for people.
    """

    name: str
    architecture: Architecture
    preprocessing: Preprocessing
    weights_sha256: str
    normalized: bool = True
    source: str = ""
    licence: str = ""

    @property
    def fingerprint(self) -> ModelFingerprint:
        """Identify the descriptors of this model."""
        return ModelFingerprint(
            architecture=str(self.architecture),
            dimension=self.architecture.dimension,
            preprocessing=str(self.preprocessing),
            weights_sha256=self.weights_sha256,
            normalized=self.normalized,
            name=self.name,
        )

    def to_json(self) -> dict[str, Any]:
        """Return the content of `model.json`."""
        architecture = dataclasses.asdict(self.architecture)
        return {
            "schema": SCHEMA,
            "name": self.name,
            "architecture": {**architecture, "head": self.architecture.head.value},
            "preprocessing": self.preprocessing._asdict(),
            "normalized": self.normalized,
            "weights_sha256": self.weights_sha256,
            "source": self.source,
            "licence": self.licence,
        }


def read_model_card(path: Path) -> ModelCard:
    """Read `model.json`; raise `DataError` when it is missing, damaged or of a newer schema."""
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise DataError(f"{path}: not JSON ({error}); import the model again") from error
    schema = content.get("schema") if isinstance(content, dict) else None
    if isinstance(schema, int) and schema > SCHEMA:
        raise DataError(
            f"{path}: written by a newer version (schema {schema}, this one reads {SCHEMA}):"
            " update progeo, or import the model again"
        )
    try:
        return _parsed(content)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{path}: not a model card ({type(error).__name__}: {error}); import the model again"
        ) from error


def _parsed(content: dict[str, Any]) -> ModelCard:
    architecture = dict(content["architecture"])
    preprocessing = dict(content["preprocessing"])
    if preprocessing["resampling"] not in RESAMPLINGS:
        raise ValueError(f"unknown resampling '{preprocessing['resampling']}'")
    statistics = {key: tuple(preprocessing[key]) for key in ("mean", "std")}
    return ModelCard(
        name=str(content["name"]),
        architecture=Architecture(**{**architecture, "head": Head(architecture["head"])}),
        preprocessing=Preprocessing(**{**preprocessing, **statistics}),
        weights_sha256=str(content["weights_sha256"]),
        normalized=bool(content["normalized"]),
        source=str(content["source"]),
        licence=str(content["licence"]),
    )
