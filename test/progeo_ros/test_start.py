"""Nodes that are stopped while they start.

`python -m test.benchmarks --only stop_signals` does the same fifty times.
"""

import subprocess
import sys

import numpy as np
import pytest

from test.stop_signals import NODES, start_command, stop_at_random


@pytest.mark.slow
@pytest.mark.parametrize("twice", [False, True], ids=["once", "twice"])
@pytest.mark.parametrize("node", NODES)
def test_a_signal_in_the_first_seconds_ends_a_node_cleanly(
    node: str, twice: bool, dds_domain: dict[str, str]
) -> None:
    stopped = stop_at_random(start_command(node), dds_domain, np.random.default_rng(), twice=twice)
    assert stopped.is_clean, stopped


def test_a_signal_while_a_node_is_imported_ends_it_at_once() -> None:
    """As there is nothing to give back yet; without a word."""
    code = """
import os, signal, sys, types
from progeo_ros import start

class Slow:
    def find_spec(self, name, path, target=None):
        if name == "progeo_ros.localizer_node":
            os.kill(os.getpid(), signal.SIGTERM)
            print("still here")

sys.meta_path.insert(0, Slow())
sys.exit(start.localizer())
"""
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


def test_starting_imports_nothing_heavy() -> None:
    code = (
        "import sys, progeo_ros.start; print({'rclpy', 'numpy', 'torch', 'cv2'} & set(sys.modules))"
    )
    command = [sys.executable, "-c", code]
    assert subprocess.check_output(command, text=True).strip() == "set()"


@pytest.mark.parametrize("node", NODES)
def test_help_says_what_a_node_is_and_how_to_start_it(node: str) -> None:
    command = [sys.executable, "-m", "progeo_ros.start", node, "--help"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith(f"{node}: ")
    assert f"ros2 run progeo_ros {node} --ros-args" in ended.stdout
    assert max(map(len, ended.stdout.splitlines())) <= 100


def test_an_unknown_node_is_answered_with_those_there_are() -> None:
    command = [sys.executable, "-m", "progeo_ros.start", "progeo_nobody"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert ended.stderr == f"name one of {', '.join(NODES)}\n"
