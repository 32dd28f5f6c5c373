"""The localizer node in a process of its own, driven through its lifecycle services."""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.executors import Executor
from rclpy.node import Node
from rclpy.task import Future

from progeo_core.errors import ProgeoError
from progeo_ros.settings import NODE

# Loading a large model on a loaded machine takes minutes; stopping never does.
_START_TIMEOUT_S = 300.0
_STOP_TIMEOUT_S = 60.0


class LocalizerProcess:
    """Process that runs `progeo_localizer` with some parameters; a context manager ends it."""

    def __init__(self, parameters: Mapping[str, object], namespace: str = "") -> None:
        """Start the process; `parameters` are given as ROS arguments.

        namespace: such as /ada, of the node and its diagnostics.
        """
        self._service = f"{namespace}/{NODE}/change_state"
        arguments: list[str] = []
        if namespace:
            arguments += ["-r", f"__ns:={namespace}", "-r", "/diagnostics:=diagnostics"]
        for name, value in parameters.items():
            arguments += ["-p", f"{name}:={_yaml(value)}"]
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed by __exit__
        self.process = subprocess.Popen(
            [sys.executable, "-m", "progeo_ros.start", NODE, "--ros-args", *arguments],
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )

    def __enter__(self) -> LocalizerProcess:
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()
        self._log.close()

    def activate(self, node: Node, executor: Executor) -> None:
        """Configure and activate through the services; `ProgeoError` with the node's own words."""
        client: Any = node.create_client(ChangeState, self._service)
        try:
            self._wait(lambda: bool(client.wait_for_service(timeout_sec=1.0)))
            for transition in (Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE):
                request = ChangeState.Request(transition=Transition(id=transition))
                future = client.call_async(request)
                self._wait(functools.partial(_is_done, future, executor))
                if not future.result().success:
                    raise ProgeoError(f"the node did not start: {self.last_words()}")
        finally:
            node.destroy_client(client)

    def check_alive(self) -> None:
        """Raise `ProgeoError` with its last words if the process has ended."""
        if self.process.poll() is not None:
            raise ProgeoError(
                f"the node ended with code {self.process.returncode}: {self.last_words()}"
            )

    def stop(self) -> int:
        """Stop the node as Ctrl-C does; return its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        try:
            return self.process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    def output(self) -> str:
        """Return everything the process has printed so far."""
        size = os.fstat(self._log.fileno()).st_size
        return os.pread(self._log.fileno(), size, 0).decode(errors="replace")

    def last_words(self) -> str:
        """Return the last line the process printed."""
        lines = [line for line in self.output().splitlines() if line.strip()]
        return lines[-1] if lines else "it printed nothing"

    def _wait(self, done: Callable[[], bool]) -> None:
        """Ask until `done`, which takes a moment itself; `ProgeoError` if the node cannot."""
        deadline = time.monotonic() + _START_TIMEOUT_S
        while not done():
            self.check_alive()
            if time.monotonic() > deadline:
                raise ProgeoError(f"the node does not answer: {self.last_words()}")


def _is_done(future: Future[Any], executor: Executor) -> bool:
    """Whether a response has come; messages are handled for a moment first."""
    executor.spin_once(timeout_sec=0.1)
    return bool(future.done())


def _yaml(value: object) -> str:
    """Return a parameter value as ROS arguments want it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(_yaml(item) for item in value) + "]"
    if isinstance(value, (str, Path)):
        # A string that looks like a number stays a string.
        return "'" + str(value).replace("'", "''") + "'"
    return repr(value)
