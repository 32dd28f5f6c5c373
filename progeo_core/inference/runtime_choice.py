"""Choose what runs a model here: by a trial at the first time, by its outcome afterwards."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from progeo_core.descriptors.encoder import Encoder
from progeo_core.errors import MissingDependencyError, ProgeoError
from progeo_core.inference.device import AUTO, Device
from progeo_core.inference.encoder_workbench import EncoderWorkbench
from progeo_core.inference.runtime import (
    REFERENCE,
    TORCH,
    automatic,
    missing_packages,
    variants,
)
from progeo_core.inference.runtime_memory import Remembered, RuntimeMemory, exported_file
from progeo_core.inference.runtime_trial import (
    MIN_AGREEMENT,
    Built,
    Workbench,
    agreement,
    run_trial,
    trial_images,
)
from progeo_core.model.model_card import ModelCard

if TYPE_CHECKING:
    from progeo_core.model.model_folder import Model

_log = logging.getLogger(__name__)


def choose_encoder(
    card: ModelCard, load: Callable[[], Model], device: Device, runtime: str = AUTO
) -> Encoder:
    """Return an encoder of the model with a card, as `choose_runtime` does.

    load: returns the model for torch, which takes it over; not called where an earlier trial chose
    a runtime that has its own file of the network.
    """
    fingerprint = card.fingerprint
    identity = f"{fingerprint} {fingerprint.normalized} {fingerprint.weights_sha256}"
    bench = EncoderWorkbench(card, load, device, exported_file(identity))
    return choose_runtime(bench, identity, device, runtime)


def choose_runtime(
    bench: Workbench[Built],
    identity: str,
    device: Device,
    runtime: str = AUTO,
    precisions: Sequence[str] | None = None,
) -> Built:
    """Return what runs the network of a workbench here.

    "auto" takes the fastest of the `automatic` runtimes that are installed and agree with torch in
    float32; a named runtime takes its own fastest precision that agrees, or gives way to "auto"
    where it is not installed, with a warning that says what to install. The first time on a
    machine takes some seconds for that. identity: of the network and its weights, by which the
    outcome is remembered. precisions: that come into question, None all. Raises `UsageError` for a
    runtime that is not known or not for this device, and `ProgeoError` where a named one does not
    agree or cannot run the network.
    """
    try:
        candidates = variants(runtime, device)
    except MissingDependencyError as error:
        _log.warning("%s; going on with the fastest of those installed", error)
        return choose_runtime(bench, identity, device, AUTO, precisions)
    if precisions is not None:
        candidates = [one for one in candidates if one.precision in precisions]
    if runtime == TORCH and candidates == [REFERENCE]:
        return bench.build(REFERENCE)
    memory = RuntimeMemory(identity, device, candidates)
    remembered = memory.read()
    built = None if remembered is None else _built_again(bench, remembered)
    if built is not None:
        return built
    if runtime == AUTO:
        _say_what_is_missing(device)
    # What an earlier trial left may be damaged, or why that one has to be made again.
    bench.forget_export()
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    result = run_trial(bench, candidates, clock)
    _log.info("%s: %s is used from now on", bench.name, result.variant)
    memory.write(Remembered(result.variant, result.expected))
    return result.built


def _built_again(bench: Workbench[Built], remembered: Remembered) -> Built | None:
    """Return what an earlier trial chose, None where it is not what it was."""
    try:
        built = bench.build(remembered.variant)
        # One image is enough to tell a damaged file, and the first one is slow anyway.
        cosine = agreement(bench.answers(built, trial_images()[:1]), remembered.expected[:1])
    except (ProgeoError, ValueError) as error:
        _log.info("%s; the trial is made again", error)
        return None
    return built if cosine >= MIN_AGREEMENT else None


def _say_what_is_missing(device: Device) -> None:
    """Name the runtimes that might be faster and are not installed, once per trial."""
    for runtime in automatic(device):
        packages = missing_packages(runtime)
        if packages:
            _log.warning(
                "runtime '%s' might be faster but is not installed: pip install %s",
                runtime,
                " ".join(packages),
            )
