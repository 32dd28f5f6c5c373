"""Run a node in this process until it is told to stop."""

from __future__ import annotations

import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import rclpy
from rclpy.exceptions import InvalidHandle, NameValidationException, ParameterException
from rclpy.executors import MultiThreadedExecutor
from rclpy.logging import LoggingSeverity, set_logger_level
from rclpy.signals import SignalHandlerOptions
from rclpy.task import Future

from progeo_core.errors import ProgeoError, UsageError
from progeo_ros.process.guarded_node import GuardedNode
from progeo_ros.process.rcl_errors import reason_of

NodeT = TypeVar("NodeT", bound=GuardedNode)
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_SWITCH_S, _PAUSE_S = 1e-4, 0.01


class StopSignal:
    """SIGINT and SIGTERM of this process, taken over; create it in the main thread.

    The system may give a signal to any thread, and waking the main thread from a lock is then up to
    chance; the interpreter's wake-up socket works from all of them.
    """

    def __init__(self) -> None:
        """Replace the handlers, so that nothing is interrupted anywhere."""
        self._receiver, self._sender = socket.socketpair()
        self._sender.setblocking(False)
        signal.set_wakeup_fd(self._sender.fileno())
        for number in _SIGNALS:
            signal.signal(number, lambda *_: None)

    def wait(self) -> None:
        """Return when a signal has come, or was sent by this process."""
        self._receiver.recv(1)

    def send(self) -> None:
        """Make `wait` return."""
        self._sender.send(b"\0")

    def ignore(self) -> None:
        """Ignore signals from now on, as the process is about to end by itself.

        The interpreter gives its handlers back before it ends, and a signal would then kill it.
        """
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        signal.set_wakeup_fd(-1)


def run_node(name: str, make: Callable[[], NodeT], args: Sequence[str] | None = None) -> int:
    """Make a node and run it until SIGINT or SIGTERM; return the exit code.

    What is wrong with arguments, parameter files and parameters is one line on stderr, and code 2;
    any other `ProgeoError` of `make` is such a line with its own exit code.
    """
    stop = StopSignal()
    # An image's thread asks for the interpreter at every step of its answer. With Python's 5 ms it
    # waits that long wherever the executor is at work, three times what all the steps take.
    sys.setswitchinterval(_SWITCH_S)
    try:
        _init(args)
        node = _made(make)
    except ProgeoError as error:
        print(f"{name}: {error}", file=sys.stderr)
        return error.exit_code
    else:
        _spin_until(stop, node)
        return 0
    finally:
        rclpy.try_shutdown()
        stop.ignore()


def _init(args: Sequence[str] | None) -> None:
    """Initialize rclpy; raise `UsageError` for ROS arguments or a parameter file it cannot read."""
    # It would say the same in two lines more.
    set_logger_level("rcl", LoggingSeverity.FATAL)
    try:
        # rclpy's own handlers would end the middleware while threads still publish.
        rclpy.init(
            args=None if args is None else list(args),
            signal_handler_options=SignalHandlerOptions.NO,
        )
    # rclpy's RCLError, which its public modules do not name, is a RuntimeError.
    except RuntimeError as error:
        raise UsageError(f"{reason_of(error)}; correct the file or argument") from error
    set_logger_level("rcl", LoggingSeverity.UNSET)


def _made(make: Callable[[], NodeT]) -> NodeT:
    """Make a node; raise `UsageError` for a parameter or a name that rclpy itself refuses."""
    try:
        return make()
    except (ParameterException, NameValidationException) as error:
        raise UsageError(reason_of(error)) from error


def _spin_until(stop: StopSignal, node: GuardedNode) -> None:
    """Spin, wait for the signal and destroy the node."""
    # Two threads: messages and parameters in one, slow services in the other.
    executor = MultiThreadedExecutor(num_threads=2)
    executor.add_node(node)
    stopped: Future[None] = Future()
    with ThreadPoolExecutor(1, thread_name_prefix="spin") as pool:
        spinning = pool.submit(_spin, node, executor, stopped)
        # A node that is no longer spun must not stand there deaf.
        spinning.add_done_callback(lambda _: stop.send())
        stop.wait()
        # Shutting the executor down instead may take away what would wake its thread.
        stopped.set_result(None)
    executor.shutdown()
    node.destroy_node()
    spinning.result()


def _spin(node: GuardedNode, executor: MultiThreadedExecutor, stopped: Future[None]) -> None:
    """Spin until `stopped`, through whatever fails.

    rclpy fails where one thread destroys a subscription, as by deactivating or by `use_sim_time`,
    that another is about to wait for (rclpy issue 1284). No message has been taken by then.
    """
    while not stopped.done():
        try:
            executor.spin_until_future_complete(stopped)
        except InvalidHandle as error:
            node.get_logger().debug(f"destroyed while in use: {error}")
        except Exception as error:
            node.callback_failures.note("spinning", error)
            # What fails every time must not take all of a core.
            time.sleep(_PAUSE_S)
