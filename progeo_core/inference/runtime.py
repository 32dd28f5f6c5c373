"""What can run a network, and in which precision: torch, ONNX Runtime, TensorRT."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import NamedTuple

from progeo_core.errors import MissingDependencyError, UsageError
from progeo_core.inference.device import AUTO, Device

TORCH, ONNX, TENSORRT = "torch", "onnx", "tensorrt"
RUNTIMES = (AUTO, TORCH, ONNX, TENSORRT)
FLOAT32 = "float32"

# The onnx package writes the file that ONNX Runtime reads, which drives TensorRT, too.
_PACKAGES = {
    TORCH: (),
    ONNX: ("onnx", "onnxruntime"),
    TENSORRT: ("onnx", "onnxruntime"),
}
# Runtimes that "auto" leaves alone: TensorRT takes minutes to make its engine.
_ONLY_BY_NAME = {TENSORRT}
# What /proc/cpuinfo calls instructions for bfloat16, on x86-64 and on ARM. Without them it is
# computed in float32 anyway, and only loses digits.
_BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}


class Variant(NamedTuple):
    """One way to run a network: one of `RUNTIMES`, and a precision in torch's words."""

    runtime: str
    precision: str

    def __str__(self) -> str:
        """Return both on one line."""
        return f"{self.runtime} in {self.precision}"


REFERENCE = Variant(TORCH, FLOAT32)


def variants(runtime: str, device: Device) -> list[Variant]:
    """Return the variants of a runtime on a device, "auto" those of all tested and installed.

    Of each runtime the one that should be fastest comes first. Raises `UsageError` for an unknown
    runtime or one that cannot use the device, `MissingDependencyError` for one not installed.
    """
    if runtime not in RUNTIMES:
        raise UsageError(f"runtime '{runtime}' is not known: take one of {', '.join(RUNTIMES)}")
    if runtime == AUTO:
        usable = [one for one in automatic(device) if not missing_packages(one)]
    else:
        usable = [_checked(runtime, device)]
    return [Variant(one, precision) for one in usable for precision in precisions(device)[one]]


def automatic(device: Device) -> list[str]:
    """Return the runtimes that "auto" may take on a device."""
    return [runtime for runtime in precisions(device) if runtime not in _ONLY_BY_NAME]


def missing_packages(runtime: str) -> list[str]:
    """Return the packages that a runtime needs and that are not installed."""
    return [name for name in _PACKAGES[runtime] if importlib.util.find_spec(name) is None]


def precisions(device: Device) -> dict[str, tuple[str, ...]]:
    """Return the runtimes that can use a device, each with its precisions, fastest first."""
    if device.type == "cuda":
        return {
            TORCH: ("float16", "bfloat16", FLOAT32),
            ONNX: (FLOAT32,),
            TENSORRT: ("float16", FLOAT32),
        }
    if device.type != "cpu":
        return {TORCH: (FLOAT32,)}
    fast = ("bfloat16", FLOAT32) if _has_bfloat16() else (FLOAT32,)
    return {ONNX: (FLOAT32,), TORCH: fast}


def _checked(runtime: str, device: Device) -> str:
    if runtime not in precisions(device):
        usable = ", ".join(precisions(device))
        raise UsageError(f"runtime '{runtime}' cannot use device '{device}': take {usable}")
    missing = missing_packages(runtime)
    if missing:
        raise MissingDependencyError(
            f"runtime '{runtime}' is not installed: pip install {' '.join(missing)}, or take"
            " another runtime"
        )
    return runtime


def _has_bfloat16() -> bool:
    """Whether the processor computes in bfloat16 by itself; False where that is unknown."""
    try:
        return bool(_BFLOAT16_FLAGS & set(Path("/proc/cpuinfo").read_text("utf-8").split()))
    except OSError:
        return False
