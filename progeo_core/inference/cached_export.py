"""ONNX file of one network, in the cache folder of the user."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable
from pathlib import Path

from progeo_core.errors import ProgeoError


class CachedExport:
    """ONNX file that is written when it is first asked for."""

    def __init__(self, name: str, path: Path, write: Callable[[Path], object]) -> None:
        """Take the name of the network for messages, the file, and what writes it."""
        self._name, self._path, self._write = name, path, write

    def file(self) -> Path:
        """Return the file; `ProgeoError` where the network cannot be written as ONNX."""
        if self._path.is_file():
            return self._path
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
        except OSError:
            # A home that cannot be written: the file is needed only until it is loaded.
            self._path = Path(tempfile.mkdtemp(prefix="progeo-"), self._path.name)
        try:
            self._write(self._path)
        except ProgeoError:
            raise
        except Exception as error:  # whatever torch meets in a network that ONNX cannot express
            reason = " ".join(str(error).split())[:200]
            raise ProgeoError(
                f"{self._name} cannot be exported ({reason}): use runtime torch"
            ) from error
        return self._path

    def forget(self) -> None:
        """Let the file be written again."""
        with contextlib.suppress(OSError):
            self._path.unlink()
