"""Where networks run: "auto", "cpu", "cuda", "cuda:1", "mps"."""

from __future__ import annotations

from typing import TYPE_CHECKING

from progeo_core.errors import UsageError

if TYPE_CHECKING:
    import torch

AUTO = "auto"


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
