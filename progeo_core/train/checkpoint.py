"""Files that survive a kill and a full disk: written beside, flushed, then renamed."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from progeo_core.errors import DataError


def save_checkpoint(content: Any, path: Path) -> None:
    """Write tensors, numbers, texts and containers of them to `path`, all or nothing.

    Raises `DataError` where that is impossible; what `path` held before is then still there.
    """
    _replace(path, lambda temporary: torch.save(content, temporary))


def replace_file(path: Path, content: bytes) -> None:
    """Write bytes to `path`, all or nothing, as `save_checkpoint` does."""
    _replace(path, lambda temporary: temporary.write_bytes(content))


def load_checkpoint(path: Path) -> Any:
    """Read what `save_checkpoint` wrote, onto the CPU; nothing but tensors and plain data.

    Raises `DataError` for a missing file, a damaged one, and one that holds code to be run.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such checkpoint")
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises whatever the damaged bytes lead it to
        raise DataError(
            f"{path}: damaged, or not a checkpoint of tensors and plain data alone"
        ) from error


def _replace(path: Path, write: Callable[[Path], object]) -> None:
    temporary = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(temporary)
        _flush(temporary)
        temporary.replace(path)
        _flush(path.parent)
    except (OSError, RuntimeError) as error:
        temporary.unlink(missing_ok=True)
        reason = getattr(error, "strerror", None) or str(error).partition("\n")[0]
        raise DataError(
            f"{path}: cannot be written ({reason}); what was there before is as it was:"
            " free some space and resume from the last checkpoint"
        ) from error


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
