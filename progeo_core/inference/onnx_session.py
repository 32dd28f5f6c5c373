"""Exported networks in ONNX Runtime, on its own or with TensorRT."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from progeo_core.errors import ProgeoError
from progeo_core.inference.device import Device, thread_count
from progeo_core.inference.runtime import TENSORRT, Variant

# Of an execution provider.
Options: TypeAlias = dict[str, str | bool]


class Run(Protocol):
    """What runs a network in a file."""

    def __call__(
        self, inputs: Mapping[str, NDArray[Any]], outputs: Sequence[str] | None = None
    ) -> list[NDArray[np.float32]]:
        """Return the outputs of these names, by default all; they are valid until the next call."""
        ...


def open_session(name: str, path: Path, variant: Variant, device: Device) -> Run:
    """Load a file into a runtime.

    Raises `ProgeoError`, which says the network's name, where the runtime cannot run it.
    """
    try:
        return _session(path, providers(path, variant, device))
    except Exception as error:  # its error classes are not public
        reason = " ".join(str(error).split())[:200]
        raise ProgeoError(
            f"runtime '{variant.runtime}' cannot run {name} ({reason}): use runtime torch"
        ) from error


def providers(path: Path, variant: Variant, device: Device) -> list[tuple[str, Options]]:
    """Return ONNX Runtime's names of what runs a file, with options; the first one has to.

    The engines that TensorRT makes, for minutes at the first time, are kept beside the file.
    """
    if device.type != "cuda":
        return [("CPUExecutionProvider", {})]
    number = str(device.index or 0)
    cuda: tuple[str, Options] = ("CUDAExecutionProvider", {"device_id": number})
    if variant.runtime != TENSORRT:
        return [cuda]
    options: Options = {
        "device_id": number,
        "trt_fp16_enable": variant.precision == "float16",
        "trt_engine_cache_enable": True,
        "trt_engine_cache_path": str(path.parent),
    }
    # CUDA takes what TensorRT cannot express.
    return [("TensorrtExecutionProvider", options), cuda]


def _session(path: Path, wanted: list[tuple[str, Options]]) -> Run:
    session = start_session(path, wanted)
    return lambda inputs, outputs=None: list(session.run(outputs, inputs))


def start_session(path: Path, wanted: list[tuple[str, Options]]) -> Any:
    """Load a file into ONNX Runtime; `RuntimeError` where the first of `wanted` is not here.

    Raises what ONNX Runtime raises for a file that it cannot run.
    """
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = thread_count()
    # Threads that wait by spinning take the cores of a robot's other programs.
    settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # ONNX Runtime goes on without what it was not built for or cannot load.
    name = wanted[0][0]
    if name in onnxruntime.get_available_providers():
        session = onnxruntime.InferenceSession(path, settings, providers=wanted)
        if name in session.get_providers():
            return session
    raise RuntimeError(f"{name} is not here: it needs onnxruntime-gpu and NVIDIA's libraries")
