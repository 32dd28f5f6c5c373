"""A node in a process of its own that lives through what its callbacks do."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.subscription import Subscription
from std_msgs.msg import Empty

from progeo_ros.process.guarded_node import GuardedNode
from progeo_ros.process.log_forwarding import forward_logs
from progeo_ros.process.spinning import run_node

ROUNDS = 300


class Fickle(GuardedNode):
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


class Failing(GuardedNode):
    """Fails in every callback, of which the tenth stops it."""

    def __init__(self) -> None:
        super().__init__("failing")
        forward_logs(self.get_logger())
        self.ticks = 0
        self.create_timer(0.001, self.tick)

    def tick(self) -> None:
        self.ticks += 1
        if self.ticks == 10:
            os.kill(os.getpid(), signal.SIGINT)
        raise ArithmeticError("out of numbers")


class Deaf(GuardedNode):
    """Gets from its executor what no callback has raised, and is stopped from another thread."""

    def __init__(self) -> None:
        super().__init__("deaf")
        forward_logs(self.get_logger())
        threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGTERM)).start()

    @property
    def guards(self) -> Iterator[Any]:
        """Raise what a middleware may raise while the executor looks for work."""
        raise OverflowError("too much to wait for")


def run(node: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    module = "test.progeo_ros.process.test_spinning"
    return finish([sys.executable, "-m", module, node], environment)


def start(
    node: str, environment: dict[str, str], *arguments: str
) -> subprocess.CompletedProcess[str]:
    return finish([sys.executable, "-m", "progeo_ros.start", node, *arguments], environment)


def finish(command: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.slow
def test_subscriptions_are_destroyed_while_the_executor_waits_for_them(
    dds_domain: dict[str, str],
) -> None:
    ended = run("Fickle", dds_domain)
    assert ended.returncode == 0, ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("node", "error"),
    [
        ("Failing", "ArithmeticError: out of numbers"),
        ("Deaf", "OverflowError: too much to wait for"),
    ],
)
def test_what_fails_while_spinning_is_logged_once_and_ends_nothing(
    node: str, error: str, dds_domain: dict[str, str]
) -> None:
    ended = run(node, dds_domain)
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr.count(error) == 1
    assert "failed, and is not logged again" in ended.stderr


def files(folder: Path) -> dict[str, Path]:
    """Write parameter files that are wrong in one way each."""
    head = "/**:\n  ros__parameters:\n"
    texts = {
        "syntax": f'{head}    base_frame: "a\n   b: [1\n',
        "tab": "\tbase_frame: a\n",
        "two types": f'{head}    base_frame: [1, "a"]\n',
        "alias": f"{head}    base_frame: &a [*a]\n",
        "no value": f"{head}    base_frame:\n",
        "wrong type": f'{head}    tracking:\n      poses: "many"\n',
        "clock": f'{head}    use_sim_time: "yes"\n',
    }
    for name, text in texts.items():
        (folder / f"{name}.yaml").write_text(text)
    return {name: folder / f"{name}.yaml" for name in [*texts, "missing"]}


WRONG = ("syntax", "tab", "two types", "alias", "no value", "wrong type", "clock", "missing")


@pytest.mark.slow
@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_parameter_file_is_one_line(
    name: str, tmp_path: Path, dds_domain: dict[str, str]
) -> None:
    arguments = ["--ros-args", "--params-file", str(files(tmp_path)[name])]
    ended = start("progeo_pose_relay", dds_domain, *arguments)
    assert ended.returncode == 2
    assert ended.stderr.startswith("progeo_pose_relay: ")
    assert ended.stderr.count("\n") == 1
    assert "/src/" not in ended.stderr
    names = {"wrong type": "tracking.poses", "clock": "use_sim_time"}
    assert names.get(name, f"{name}.yaml") in ended.stderr


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [["-p", "a:=[1"], ["-r", "x"], ["-r", "__ns:=/a b"]])
def test_wrong_arguments_are_one_line(arguments: list[str], dds_domain: dict[str, str]) -> None:
    ended = start("progeo_pose_relay", dds_domain, "--ros-args", *arguments)
    assert ended.returncode == 2
    assert ended.stderr.count("\n") == 1


if __name__ == "__main__":
    sys.exit(
        run_node("test", {"Fickle": Fickle, "Failing": Failing, "Deaf": Deaf}[sys.argv[1]], [])
    )
