"""Exported networks in ONNX Runtime, on its own or with TensorRT."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from progeo_core.errors import ProgeoError
from progeo_core.inference.runtime import TENSORRT, Variant

# Of an execution provider.
Options: TypeAlias = dict[str, str | bool]
# From RGB uint8 images to the outputs of the network, valid until the next call.
Infer: TypeAlias = Callable[[NDArray[np.uint8]], list[NDArray[np.float32]]]


def open_session(name: str, path: Path, variant: Variant, device: torch.device) -> Infer:
    """Load a file with one input, `images`, into a runtime.

    Raises `ProgeoError`, which says the network's name, where the runtime cannot run it.
    """
    try:
        return _session(path, providers(path, variant, device))
    except Exception as error:  # its error classes are not public
        reason = " ".join(str(error).split())[:200]
        raise ProgeoError(
            f"runtime '{variant.runtime}' cannot run {name} ({reason}): use runtime torch"
        ) from error


def providers(path: Path, variant: Variant, device: torch.device) -> list[tuple[str, Options]]:
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


def _session(path: Path, wanted: list[tuple[str, Options]]) -> Infer:
    session = start_session(path, wanted)
    return lambda images: list(session.run(None, {"images": images}))


def start_session(path: Path, wanted: list[tuple[str, Options]]) -> Any:
    """Load a file into ONNX Runtime; `RuntimeError` where the first of `wanted` is not here.

    Raises what ONNX Runtime raises for a file that it cannot run.
    """
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = torch.get_num_threads()
    # Threads that wait by spinning take the cores of a robot's other programs.
    settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # ONNX Runtime goes on without what it was not built for or cannot load.
    name = wanted[0][0]
    if name in onnxruntime.get_available_providers():
        session = onnxruntime.InferenceSession(path, settings, providers=wanted)
        if name in session.get_providers():
            return session
    raise RuntimeError(f"{name} is not here: it needs onnxruntime-gpu and NVIDIA's libraries")
