"""Files that survive a kill and a full disk: written beside, flushed, then renamed."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from progeo_core.atomic_file import replaced_file
from progeo_core.errors import DataError, ProgeoError
from progeo_core.model.torch_file import read_torch_file


def save_checkpoint(content: Any, path: Path) -> None:
    """Write tensors, numbers, texts and containers of them to `path`, all or nothing.

    Raises `DataError` where that is impossible; the previous content of `path` is then unchanged.
    """

    def write(unfinished: Path) -> None:
        # Through a file of Python's: torch's own does not say why it cannot be written.
        with unfinished.open("wb") as file:
            torch.save(content, file)

    _replace(path, write)


def replace_file(path: Path, content: bytes) -> None:
    """Write bytes to `path`, all or nothing, as `save_checkpoint` does."""
    _replace(path, lambda unfinished: unfinished.write_bytes(content))


def load_checkpoint(path: Path) -> Any:
    """Read what `save_checkpoint` wrote, onto the CPU; nothing but tensors, numbers and plain data.

    Raises `DataError` for a missing file, a damaged one, and one that holds code to be run.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such checkpoint")
    try:
        return read_torch_file(path)
    except Exception as error:  # damaged bytes may lead anywhere
        raise DataError(
            f"{path}: damaged, or not a checkpoint of tensors and plain data alone"
        ) from error


@contextlib.contextmanager
def content_of(path: Path, what: str) -> Iterator[None]:
    """Raise `DataError` naming `path` and `what` it should be, where its content is used wrongly.

    Content of another kind, or damaged, has other types, shapes and keys, which raise anything.
    """
    try:
        yield
    except ProgeoError:
        raise
    except Exception as error:
        reason = f"{type(error).__name__}: {str(error).partition(chr(10))[0][:200]}"
        raise DataError(f"{path}: damaged, or not {what} ({reason})") from error


def _replace(path: Path, write: Callable[[Path], object]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replaced_file(path) as unfinished:
            write(unfinished)
    except (OSError, RuntimeError) as error:
        raise DataError(
            f"{path}: cannot be written ({_reason(error)}); the previous file is unchanged:"
            " free some space and resume from the last checkpoint"
        ) from error


def _reason(error: BaseException) -> str:
    """Return the system's own reason, which torch wraps in errors of its own."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, OSError):
        cause = cause.__context__
    return getattr(cause, "strerror", None) or str(error).partition("\n")[0]
