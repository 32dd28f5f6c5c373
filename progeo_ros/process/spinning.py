"""Run a node in this process until it is told to stop."""

from __future__ import annotations

import signal
import socket
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import rclpy
from rclpy.exceptions import InvalidHandle
from rclpy.executors import MultiThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from rclpy.task import Future

from progeo_core.errors import ProgeoError

NodeT = TypeVar("NodeT", bound=Node)
_SWITCH_S = 1e-4


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


def run_node(
    name: str,
    make: Callable[[], NodeT],
    args: Sequence[str] | None,
    begin: Callable[[NodeT], None] = lambda _: None,
) -> int:
    """Make a node and run it until SIGINT or SIGTERM; return the exit code.

    A `ProgeoError` of `make`, such as a bad parameter, is one line on stderr and its exit code.
    """
    stop = StopSignal()
    # An image's thread asks for the interpreter at every step of its answer. With Python's 5 ms it
    # waits that long wherever the executor is at work, three times what all the steps take.
    sys.setswitchinterval(_SWITCH_S)
    # rclpy's own handlers would end the middleware under the feet of threads that still publish.
    rclpy.init(
        args=None if args is None else list(args), signal_handler_options=SignalHandlerOptions.NO
    )
    try:
        node = make()
    except ProgeoError as error:
        print(f"{name}: {error}", file=sys.stderr)
        return error.exit_code
    else:
        _spin_until(stop, node, begin)
        return 0
    finally:
        rclpy.try_shutdown()


def _spin_until(stop: StopSignal, node: NodeT, begin: Callable[[NodeT], None]) -> None:
    """Spin, `begin`, wait for the signal and destroy the node; raise what its callbacks raised."""
    # Two threads: messages and parameters in one, slow services in the other.
    executor = MultiThreadedExecutor(num_threads=2)
    executor.add_node(node)
    stopped: Future[None] = Future()
    with ThreadPoolExecutor(1, thread_name_prefix="spin") as pool:
        spinning = pool.submit(_spin, node, executor, stopped)
        # A node whose callbacks failed must not stand there deaf.
        spinning.add_done_callback(lambda _: stop.send())
        begin(node)
        stop.wait()
        # Shutting the executor down instead may take away what would wake its thread.
        stopped.set_result(None)
    executor.shutdown()
    node.destroy_node()
    spinning.result()


def _spin(node: Node, executor: MultiThreadedExecutor, stopped: Future[None]) -> None:
    """Spin until `stopped`; raise what a callback raised.

    rclpy fails where one thread destroys a subscription, as by deactivating or by `use_sim_time`,
    that another is about to wait for (rclpy issue 1284). No message has been taken by then.
    """
    while not stopped.done():
        try:
            executor.spin_until_future_complete(stopped)
        except InvalidHandle as error:
            node.get_logger().debug(f"destroyed while in use: {error}")
