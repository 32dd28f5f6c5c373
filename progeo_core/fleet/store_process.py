"""A fleet's store as a robot asks it: in a process of its own, and with a time limit."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import threading
import time
from typing import Any

from progeo_core.errors import (
    DataError,
    MissingDependencyError,
    ModelMismatchError,
    ProgeoError,
    UsageError,
)
from progeo_core.fleet.pull import EmptyRegionError

_KINDS = {
    kind.__name__: kind
    for kind in (UsageError, ModelMismatchError, MissingDependencyError, EmptyRegionError)
}
# One core is enough for what nobody waits for.
_FEW_THREADS = dict.fromkeys(("OMP_NUM_THREADS", "LANCE_CPU_THREADS", "RAYON_NUM_THREADS"), "1")
_READ_BYTES = 1 << 16
_CLOSE_S = 2.0


class StoreProcess:
    """Process that reads and writes one store; it starts with the first question.

    One thread asks; any may `close`.
    """

    def __init__(self, uri: str) -> None:
        """Name the store."""
        self._uri = uri
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._closed = False

    def ask(self, limit_s: float, **request: object) -> dict[str, Any]:
        """Return the answer to a request of `worker`.

        Raises the `ProgeoError` that the process names, `DataError` where it gives no answer in
        time: then it is killed, and starts anew with the next question.
        """
        process = self._started()
        assert process.stdin is not None
        try:
            process.stdin.write(json.dumps(request).encode() + b"\n")
            process.stdin.flush()
            answer: dict[str, Any] = json.loads(self._line(process, time.monotonic() + limit_s))
        except (OSError, ValueError) as error:
            self._end(process, 0.0)
            raise DataError(
                f"the fleet's store cannot be asked: its process ended ({error})"
            ) from error
        except DataError:
            self._end(process, 0.0)
            raise
        if "error" in answer:
            raise _KINDS.get(answer["kind"], DataError)(answer["error"])
        return answer

    def close(self) -> None:
        """End the process; a question at work fails, and so do later ones."""
        with self._lock:
            self._closed = True
            process = self._process
        if process is not None:
            self._end(process, _CLOSE_S)

    def _started(self) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._closed:
                raise ProgeoError("the link to the fleet's store is closed")
            if self._process is None:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "progeo_core.fleet.worker", self._uri],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    env={**_FEW_THREADS, **os.environ},
                )
            return self._process

    def _line(self, process: subprocess.Popen[bytes], deadline: float) -> bytes:
        assert process.stdout is not None
        line = b""
        while not line.endswith(b"\n"):
            left_s = deadline - time.monotonic()
            if left_s <= 0.0 or not select.select([process.stdout], [], [], left_s)[0]:
                raise DataError("the fleet's store does not answer in time")
            read = os.read(process.stdout.fileno(), _READ_BYTES)
            if not read:
                raise OSError("it gives no answer")
            line += read
        return line

    def _end(self, process: subprocess.Popen[bytes], patience_s: float) -> None:
        with self._lock:
            if self._process is process:
                self._process = None
        assert process.stdin is not None
        # It may have ended before it read all.
        with contextlib.suppress(OSError):
            process.stdin.close()
        try:
            process.wait(patience_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
