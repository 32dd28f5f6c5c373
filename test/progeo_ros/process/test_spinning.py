"""A node in a process of its own that lives through what its callbacks do."""

import os
import signal
import subprocess
import sys

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.node import Node
from rclpy.subscription import Subscription
from std_msgs.msg import Empty

from progeo_ros.process.spinning import run_node

ROUNDS = 300


class Fickle(Node):
    """Subscribes and unsubscribes at every tick, as a node does that is switched on and off."""

    def __init__(self) -> None:
        super().__init__("fickle")
        self.rounds = 0
        self.mine: list[Subscription[Empty]] = []
        # Of another group than the subscriptions, which are thus waited for during the tick.
        self.create_timer(0.001, self.tick, MutuallyExclusiveCallbackGroup())

    def tick(self) -> None:
        for subscription in self.mine:
            self.destroy_subscription(subscription)
        self.mine = [self.create_subscription(Empty, f"/topic_{i}", print, 1) for i in range(5)]
        self.rounds += 1
        if self.rounds == ROUNDS:
            os.kill(os.getpid(), signal.SIGINT)


class Failing(Node):
    """Fails in its first callback."""

    def __init__(self) -> None:
        super().__init__("failing")
        self.create_timer(0.001, self.tick)

    def tick(self) -> None:
        raise ArithmeticError("out of numbers")


def run(node: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "test.progeo_ros.test_spinning", node]
    return subprocess.run(
        command,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_subscriptions_are_destroyed_while_the_executor_waits_for_them(
    dds_domain: dict[str, str],
) -> None:
    ended = run("Fickle", dds_domain)
    assert ended.returncode == 0, ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_failing_callback_ends_the_node(dds_domain: dict[str, str]) -> None:
    ended = run("Failing", dds_domain)
    assert ended.returncode == 1
    assert "ArithmeticError: out of numbers" in ended.stderr


if __name__ == "__main__":
    sys.exit(run_node("test", {"Fickle": Fickle, "Failing": Failing}[sys.argv[1]], []))
