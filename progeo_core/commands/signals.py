"""What SIGINT and SIGTERM do to a command: the first interrupts it, a second one ends it."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

from progeo_core.commands.start import end_at_once

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextlib.contextmanager
def interrupted_by_signals() -> Iterator[list[int]]:
    """Let signals raise `KeyboardInterrupt` in the block; give the numbers of those that came.

    In other threads than the main one, which cannot handle signals, nothing changes.
    """
    came: list[int] = []

    def interrupt(number: int, _: FrameType | None) -> None:
        if came:
            end_at_once(number)
        came.append(number)
        raise KeyboardInterrupt

    def end_where_lost(lost: Any) -> None:
        """End where the exception goes no further, as in a callback of the interpreter."""
        if came and lost.exc_type is KeyboardInterrupt:
            end_at_once(came[0])
        usual_hook(lost)

    usual_hook, before = sys.unraisablehook, {}
    if threading.current_thread() is threading.main_thread():
        before = {one: signal.getsignal(one) for one in _SIGNALS}
    heard = [number for number, handler in before.items() if handler != signal.SIG_IGN]
    try:
        for number in heard:
            signal.signal(number, interrupt)
        sys.unraisablehook = end_where_lost
        yield came
    finally:
        for number in heard:
            signal.signal(number, before[number])
        sys.unraisablehook = usual_hook
