"""Choose what runs a model here: by a trial at the first time, by its outcome afterwards."""

from __future__ import annotations

import logging

import torch

from progeo_core.descriptors.encoder import Encoder
from progeo_core.errors import MissingDependencyError, ProgeoError
from progeo_core.inference.device import AUTO
from progeo_core.inference.runtime import REFERENCE, TORCH, automatic, missing_packages, variants
from progeo_core.inference.runtime_memory import Remembered, RuntimeMemory
from progeo_core.inference.runtime_trial import (
    MIN_AGREEMENT,
    Workbench,
    agreement,
    run_trial,
    trial_images,
)
from progeo_core.inference.torch_encoder import TorchEncoder
from progeo_core.model.model_folder import Model

_log = logging.getLogger(__name__)


def choose_encoder(model: Model, device: torch.device, runtime: str = AUTO) -> Encoder:
    """Return an encoder of the model; takes the model over.

    "auto" takes the fastest of the `automatic` runtimes that are installed and agree with torch in
    float32; a named runtime takes its own fastest precision that agrees, or gives way to "auto"
    where it is not installed, with a warning that says what to install. The first time on a
    machine takes some seconds for that. Raises `UsageError` for a runtime that is not known or not
    for this device, and `ProgeoError` where a named one does not agree or cannot run the model.
    """
    try:
        candidates = variants(runtime, device)
    except MissingDependencyError as error:
        _log.warning("%s; going on with the fastest of those installed", error)
        return choose_encoder(model, device, AUTO)
    if runtime == TORCH and candidates == [REFERENCE]:
        return TorchEncoder(model, device)
    memory = RuntimeMemory(model.card.fingerprint, device, candidates)
    bench = Workbench(model, device, memory.onnx_file)
    remembered = memory.read()
    encoder = None if remembered is None else _built_again(bench, remembered)
    if encoder is not None:
        return encoder
    if runtime == AUTO:
        _say_what_is_missing(device)
    # What an earlier trial left may be damaged, or why that one has to be made again.
    bench.forget_export()
    result = run_trial(bench, candidates)
    _log.info("%s: %s is used from now on", model.card.name, result.variant)
    memory.write(Remembered(result.variant, result.expected))
    return result.encoder


def _built_again(bench: Workbench, remembered: Remembered) -> Encoder | None:
    """Return the encoder of an earlier trial, None where it is not what it was."""
    try:
        encoder = bench.build(remembered.variant)
        # One image is enough to tell a damaged file, and the first one is slow anyway.
        cosine = agreement(encoder.encode(trial_images()[:1]), remembered.expected[:1])
    except (ProgeoError, ValueError) as error:
        _log.info("%s; the trial is made again", error)
        return None
    return encoder if cosine >= MIN_AGREEMENT else None


def _say_what_is_missing(device: torch.device) -> None:
    """Name the runtimes that might be faster and are not installed, once per trial."""
    for runtime in automatic(device):
        packages = missing_packages(runtime)
        if packages:
            _log.warning(
                "runtime '%s' might be faster but is not installed: pip install %s",
                runtime,
                " ".join(packages),
            )
