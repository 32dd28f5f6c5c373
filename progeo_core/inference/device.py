"""Where networks run: "auto", "cpu", "cuda", "cuda:1", "mps"; on the CPU, in how many threads."""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from progeo_core.errors import UsageError

if TYPE_CHECKING:
    import torch

AUTO = "auto"
# Drivers of NVIDIA's devices on Linux and Windows. One of AMD's has a file.
_DRIVERS = ("libcuda.so.1", "nvcuda.dll")
_AMD_DRIVER = Path("/dev/kfd")
_CORES = Path("/sys/devices/system/cpu")


class Device(Protocol):
    """Device by its type, such as "cpu", and its number, None for the current one.

    torch's own devices are such; written as text, they are names.
    """

    @property
    def type(self) -> str:
        """Return the type."""
        ...

    @property
    def index(self) -> int | None:
        """Return the number."""
        ...


@dataclasses.dataclass(frozen=True)
class _Cpu:
    type: str = "cpu"
    index: int | None = None

    def __str__(self) -> str:
        return self.type


def find_device(name: str = AUTO) -> Device:
    """Return the device of that name as `choose_device` does; torch is imported for GPUs alone."""
    if name == "cpu" or (name == AUTO and not _has_gpu_driver()):
        return _Cpu()
    return choose_device(name)


def choose_device(name: str = AUTO) -> torch.device:
    """Return the device of that name; "auto" takes a CUDA device where there is one, else the CPU.

    Raises `UsageError` for an unknown device and for one that this machine or this torch lacks.
    """
    import torch

    if name == AUTO:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).partition("\n")[0]
        raise UsageError(
            f"device '{name}' cannot be used ({reason}): take 'auto' or 'cpu', or install a torch"
            " that drives it"
        ) from error
    if device.type == "meta":
        raise UsageError("device 'meta' computes nothing: take 'auto', 'cpu' or 'cuda'")
    return device


def thread_count() -> int:
    """Return how many threads a network takes on the CPU, as torch counts them.

    That is `OMP_NUM_THREADS`, else the cores that this process may run on; those that share their
    arithmetic with another count once.
    """
    said = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    if said.isdecimal() and int(said) > 0:
        return int(said)
    if not hasattr(os, "sched_getaffinity"):
        return os.cpu_count() or 1
    return len({_siblings(number) for number in os.sched_getaffinity(0)})


def limit_threads(count: int) -> None:
    """Let the networks that this process loads from now on take so many threads on the CPU."""
    os.environ["OMP_NUM_THREADS"] = str(count)
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(count)


def _siblings(number: int) -> str:
    """Return the processors that share a core with one, or its own number where that is unknown."""
    try:
        return (_CORES / f"cpu{number}" / "topology" / "thread_siblings_list").read_text("ascii")
    except OSError:
        return str(number)


def _has_gpu_driver() -> bool:
    """Whether torch may find a GPU here; it is asked then."""
    for driver in _DRIVERS:
        with contextlib.suppress(OSError):
            ctypes.CDLL(driver)
            return True
    return _AMD_DRIVER.exists()
