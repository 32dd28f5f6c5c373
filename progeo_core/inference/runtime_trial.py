"""A short trial of the ways to run a model: which agree with torch, and which is fastest."""

from __future__ import annotations

import contextlib
import copy
import logging
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from progeo_core.descriptors.encoder import Encoder
from progeo_core.errors import ProgeoError
from progeo_core.images.codec import Image, read_image
from progeo_core.inference.exported_encoder import ExportedEncoder
from progeo_core.inference.onnx_export import write_onnx
from progeo_core.inference.runtime import REFERENCE, TORCH, Variant
from progeo_core.inference.torch_encoder import TorchEncoder
from progeo_core.model.model_folder import Model

# Smallest cosine with what torch computes in float32, of every trial image.
MIN_AGREEMENT = 0.999
_ROUNDS = 5
_PICTURES = Path(__file__).parent.parent / "demo_data"
_TRIAL_IMAGES = (
    "corridor/ref/0000000.jpg",
    "corridor/query/0000050.jpg",
    "campus_loop/dataset/image_0.png",
    "campus_loop/dataset/image_30.png",
)

_log = logging.getLogger(__name__)


class TrialResult(NamedTuple):
    """Fastest variant that agrees, its encoder, and the reference's descriptors [t, D]."""

    variant: Variant
    encoder: Encoder
    expected: NDArray[np.float32]


class Workbench:
    """Builder of encoders of one model on one device."""

    def __init__(self, model: Model, device: torch.device, onnx_file: Path) -> None:
        """Start from a model, which stays as it is, and the file that its export is written to."""
        self._model, self._device, self._onnx_file = model, device, onnx_file

    def build(self, variant: Variant) -> Encoder:
        """Return the encoder of a variant; `ProgeoError` where it cannot be had."""
        if variant.runtime == TORCH:
            network = copy.deepcopy(self._model.network)
            model = self._model._replace(network=network)
            return TorchEncoder(model, self._device, variant.precision)
        return ExportedEncoder.open(self._model.card, self._exported(), variant, self._device)

    def forget_export(self) -> None:
        """Let the export be written again."""
        with contextlib.suppress(OSError):
            self._onnx_file.unlink()

    def _exported(self) -> Path:
        if self._onnx_file.is_file():
            return self._onnx_file
        try:
            self._onnx_file.parent.mkdir(parents=True, exist_ok=True)
        except OSError:
            # A home that cannot be written: the file is needed only until it is loaded.
            self._onnx_file = Path(tempfile.mkdtemp(prefix="progeo-"), self._onnx_file.name)
        try:
            return write_onnx(self._model, self._onnx_file)
        except ProgeoError:
            raise
        except Exception as error:  # whatever torch meets in a network that ONNX cannot express
            reason = " ".join(str(error).split())[:200]
            raise ProgeoError(
                f"{self._model.card.name} cannot be exported ({reason}): use runtime torch"
            ) from error


def run_trial(bench: Workbench, candidates: Sequence[Variant]) -> TrialResult:
    """Try variants on shipped images; return the fastest that agrees.

    Of each runtime the first precision that agrees is timed, in turns with the reference, so that
    other programs slow both equally. Raises `ProgeoError` where none can be used.
    """
    images = trial_images()
    reference = bench.build(REFERENCE)
    expected = reference.encode(images)
    best, shortest, refused = None, np.inf, []
    runtimes = list(dict.fromkeys(one.runtime for one in candidates))
    for runtime in runtimes:
        own = [one for one in candidates if one.runtime == runtime]
        try:
            variant, encoder = _first_that_agrees(bench, own, images, expected)
        except ProgeoError as error:
            _log.info("%s", error)
            refused.append(str(error))
            continue
        share = 1.0
        if variant != REFERENCE and len(runtimes) > 1:
            share = _share_of_time(encoder, reference, images[0])
            _log.info("%s takes %.2f of the time of %s", variant, share, REFERENCE)
        if share < shortest:
            best, shortest = TrialResult(variant, encoder, expected), share
    if best is None:
        raise ProgeoError("; ".join(refused))
    return best


def trial_images() -> list[Image]:
    """Read the shipped images that trials are made on."""
    return [read_image(_PICTURES / name) for name in _TRIAL_IMAGES]


def agreement(descriptors: NDArray[np.float32], expected: NDArray[np.float32]) -> float:
    """Return the smallest cosine of rows [t, D] with those expected; NaN for what is not finite."""
    lengths = np.linalg.norm(descriptors, axis=1) * np.linalg.norm(expected, axis=1)
    return float(np.min(np.sum(descriptors * expected, axis=1) / lengths))


def _first_that_agrees(
    bench: Workbench,
    own: Sequence[Variant],
    images: Sequence[Image],
    expected: NDArray[np.float32],
) -> tuple[Variant, Encoder]:
    """Return the first variant of one runtime that agrees; `ProgeoError` where none does."""
    said = ""
    for variant in own:
        encoder = bench.build(variant)
        cosine = agreement(encoder.encode(images), expected)
        if cosine >= MIN_AGREEMENT:
            return variant, encoder
        said = (
            f"{variant} is refused: its descriptors have a cosine of {cosine:.4f} with those of"
            f" {REFERENCE}, at least {MIN_AGREEMENT} is needed; use another runtime"
        )
        _log.info("%s", said)
    raise ProgeoError(said)


def _share_of_time(encoder: Encoder, reference: Encoder, image: Image) -> float:
    """Return how long an image takes, as a share of what the reference takes for it."""
    turns = [(_seconds(encoder, image), _seconds(reference, image)) for _ in range(_ROUNDS)]
    ours, theirs = (min(durations) for durations in zip(*turns, strict=True))
    return float(ours / theirs)


def _seconds(encoder: Encoder, image: Image) -> float:
    started = time.perf_counter()
    encoder.encode([image])
    return time.perf_counter() - started
