"""Start of the `progeo` command, and what a signal does to it.

Importing the commands takes a moment. A signal that comes meanwhile ends the process at once, as
nothing is begun yet. Afterwards the first signal interrupts the command, which tidies up; a second
one does not wait for that. Either way the exit code is 128 and the number of the signal.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_Handler = Callable[[int, FrameType | None], object] | int | None


def main() -> int:
    """Run the command that the command line names; return its exit code."""
    _take(_end)
    code: int = importlib.import_module("progeo_core.cli").main()
    # All is done but Python's own end, which a signal would turn into a traceback.
    _take(signal.SIG_IGN)
    return code


@contextlib.contextmanager
def interrupted_by_signals() -> Iterator[list[int]]:
    """Let signals raise `KeyboardInterrupt` in the block; give the numbers of those that came."""
    came: list[int] = []

    def interrupt(number: int, frame: FrameType | None) -> None:
        if came:
            _end(number, frame)
        came.append(number)
        raise KeyboardInterrupt

    def give_up(lost: Any) -> None:
        """End where the exception was lost, as in a callback of the interpreter."""
        if came and lost.exc_type is KeyboardInterrupt:
            _end(came[0], None)
        usual(lost)

    usual, sys.unraisablehook = sys.unraisablehook, give_up
    before = _take(interrupt)
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        sys.unraisablehook = usual


def _take(handler: _Handler) -> dict[int, _Handler]:
    """Handle signals so, and return how they were; those that are ignored stay so, as by nohup."""
    before: dict[int, _Handler] = {}
    if threading.current_thread() is threading.main_thread():
        for number in _SIGNALS:
            if signal.getsignal(number) != signal.SIG_IGN:
                before[number] = signal.signal(number, handler)
    return before


def _end(number: int, _: FrameType | None) -> None:
    os.write(2, b"progeo: error: interrupted\n")
    os._exit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
