"""SIGINT and SIGTERM as something to wait for."""

from __future__ import annotations

import signal
import socket


class StopSignal:
    """Take over SIGINT and SIGTERM of this process; create it in the main thread.

    The system may give a signal to any thread, and waking the main thread from a lock is then up to
    chance; the interpreter's wake-up socket works from all of them.
    """

    def __init__(self) -> None:
        """Replace the handlers, so that nothing is interrupted anywhere."""
        self._receiver, self._sender = socket.socketpair()
        self._sender.setblocking(False)
        signal.set_wakeup_fd(self._sender.fileno())
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: None)

    def wait(self) -> None:
        """Return when a signal has come, or was sent by this process."""
        self._receiver.recv(1)

    def send(self) -> None:
        """Make `wait` return."""
        self._sender.send(b"\0")
