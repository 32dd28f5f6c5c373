"""Which devices there are, and what runs a model on them, how fast."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from progeo_core.descriptors.encoder import Encoder
from progeo_core.errors import ProgeoError
from progeo_core.evaluation.doctor.finding import Finding, State, good

if TYPE_CHECKING:
    # These need torch, which may be what is missing.
    from progeo_core.images.codec import Image
    from progeo_core.inference.encoder_workbench import EncoderWorkbench
    from progeo_core.inference.runtime import Variant

_ROUNDS = 3
_DRIVER = Path("/proc/driver/nvidia/version")


def check_devices() -> Iterator[Finding]:
    """Yield the processor and the CUDA devices that torch sees."""
    import torch

    threads = torch.get_num_threads()
    yield good("cpu", f"{os.cpu_count()} cores, torch takes {threads} threads")
    for number in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(number)
        memory = f"{properties.total_memory / 1e9:.0f} GB"
        yield good(f"cuda:{number}", f"{properties.name}, {memory}")
    if not torch.cuda.is_available() and _DRIVER.exists():
        text = "an NVIDIA driver is here, but torch cannot use it"
        fix = "install a torch with CUDA that fits the driver: https://pytorch.org"
        yield Finding("cuda", State.PROBLEM, text, fix)


def check_runtimes(model: str, device: str) -> Iterator[Finding]:
    """Yield how long an image takes in every runtime of a device that agrees with torch.

    Raises as `load_named_model` and `choose_device` do.
    """
    from progeo_core.inference.device import choose_device
    from progeo_core.inference.encoder_workbench import EncoderWorkbench
    from progeo_core.inference.runtime import (
        REFERENCE,
        Variant,
        automatic,
        missing_packages,
        precisions,
    )
    from progeo_core.inference.runtime_trial import trial_images
    from progeo_core.model.named_model import load_named_model

    chosen = choose_device(device)
    loaded = load_named_model(model).network_alone
    images = trial_images()
    with tempfile.TemporaryDirectory() as folder:
        # Apart from the user's cache, so that every runtime is tried again.
        bench = EncoderWorkbench(loaded.card, lambda: loaded, chosen, Path(folder) / "model.onnx")
        expected = bench.build(REFERENCE).encode(images)
        for runtime in automatic(chosen):
            missing = missing_packages(runtime)
            if missing:
                text, fix = "not installed, might be faster", f"pip install {' '.join(missing)}"
                yield Finding(f"{runtime} on {chosen}", State.NOTE, text, fix)
                continue
            for precision in precisions(chosen)[runtime]:
                variant = Variant(runtime, precision)
                yield _timed(bench, variant, str(chosen), images, expected)


def _timed(
    bench: EncoderWorkbench,
    variant: Variant,
    device: str,
    images: Sequence[Image],
    expected: NDArray[np.float32],
) -> Finding:
    """Return how fast a variant is, or why it is not used."""
    from progeo_core.inference.runtime_trial import MIN_AGREEMENT, agreement

    subject = f"{variant.runtime} on {device}"
    try:
        encoder = bench.build(variant)
        cosine = agreement(encoder.encode(images), expected)
    except ProgeoError as error:
        return Finding(subject, State.NOTE, str(error), "use another --runtime")
    seconds = min(_seconds(encoder, images[0]) for _ in range(_ROUNDS))
    text = f"{variant.precision}, {1e3 * seconds:.0f} ms per image with {bench.name}"
    if cosine >= MIN_AGREEMENT:
        return good(subject, text)
    text = f"{text}, not used: a cosine of only {cosine:.4f} with torch in float32"
    return Finding(subject, State.NOTE, text)


def _seconds(encoder: Encoder, image: Image) -> float:
    started = time.perf_counter()
    encoder.encode([image])
    return time.perf_counter() - started
