"""What trials found out, kept for the next start: per machine, model and versions."""

from __future__ import annotations

import functools
import hashlib
import json
import logging
import os
import platform
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from progeo_core.atomic_file import replaced_file
from progeo_core.inference.device import Device, thread_count
from progeo_core.inference.runtime import Variant

# A new number makes every trial again.
_SCHEMA = 2
_PACKAGES = ("torch", "onnx", "onnxruntime", "onnxruntime-gpu", "tensorrt")

_log = logging.getLogger(__name__)


def cache_folder() -> Path:
    """Return `$XDG_CACHE_HOME/progeo`, by default ~/.cache/progeo; it need not exist."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if base else Path.home() / ".cache") / "progeo"


def exported_file(identity: str) -> Path:
    """Return the file for the export of a network, by its identity; it need not exist."""
    return cache_folder() / f"{_digest(f'{identity} {_versions()}')}.onnx"


class Remembered(NamedTuple):
    """Variant that won, and the reference's answers [t, D] to the trial images."""

    variant: Variant
    expected: NDArray[np.float32]


class RuntimeMemory:
    """Outcome of one trial, kept in the user's cache folder."""

    def __init__(self, identity: str, device: Device, candidates: Sequence[Variant]) -> None:
        """Start from what the outcome depends on, besides the machine and versions.

        identity: of the network and its weights.
        """
        where = f"{_machine(device)}, {thread_count()} threads, {_versions()}"
        self._asked = f"{', '.join(map(str, candidates))} on {where}"
        self._file = cache_folder() / f"{_digest(f'{identity} {self._asked}')}.json"

    def read(self) -> Remembered | None:
        """Return the outcome of an earlier trial; None without one, or where it is damaged."""
        try:
            document = json.loads(self._file.read_bytes())
            variant = Variant(document["runtime"], document["precision"])
            expected = np.array(document["expected"], np.float32)
            known = document["schema"] == _SCHEMA and expected.ndim == 2
        except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
            return None
        return Remembered(variant, expected) if known else None

    def write(self, remembered: Remembered) -> None:
        """Keep an outcome; where that fails, the next start makes the trial again."""
        document = {
            "schema": _SCHEMA,
            **remembered.variant._asdict(),
            "asked": self._asked,
            "expected": np.round(remembered.expected.astype(np.float64), 6).tolist(),
        }
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with replaced_file(self._file) as unfinished:
                unfinished.write_text(json.dumps(document), encoding="utf-8")
        except OSError as error:
            _log.info("%s: the trial is made again next time (%s)", self._file, error.strerror)


def _machine(device: Device) -> str:
    if device.type == "cuda":
        import torch

        return torch.cuda.get_device_name(str(device))
    lines = _lines(Path("/proc/cpuinfo"))
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return f"{device.type} {next(names, platform.machine())}"


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []


@functools.cache
def _versions() -> str:
    found = []
    for package in _PACKAGES:
        try:
            found.append(f"{package} {metadata.version(package)}")
        except metadata.PackageNotFoundError:
            continue
    return ", ".join(found)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:24]
