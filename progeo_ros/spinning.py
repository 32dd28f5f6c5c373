"""Run a node until its process is told to stop."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait

from rclpy.executors import MultiThreadedExecutor
from rclpy.node import Node

from progeo_ros.stop_signal import StopSignal

_LAST_ROUND_S = 5.0


def spin_until(stop: StopSignal, node: Node, begin: Callable[[], None] | None = None) -> None:
    """Spin, `begin`, wait for the signal and destroy the node; raise what its callbacks raised."""
    # Two threads: messages and parameters in one, slow services in the other.
    executor = MultiThreadedExecutor(num_threads=2)
    executor.add_node(node)
    with ThreadPoolExecutor(1, thread_name_prefix="spin") as pool:
        spinning = pool.submit(executor.spin)
        # A node whose callbacks failed must not stand there deaf.
        spinning.add_done_callback(lambda _: stop.send())
        if begin is not None:
            begin()
        stop.wait()
        executor.shutdown()
        # rclpy comes back at once, while its thread may still be reading what is destroyed next.
        wait([spinning], _LAST_ROUND_S)
        node.destroy_node()
    spinning.result()
