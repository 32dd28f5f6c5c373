"""A node in a process of its own that is stopped at a random moment of its first seconds."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

NODES = ("progeo_localizer", "progeo_pose_graph", "progeo_pose_relay")
# Importing a node and making it takes about as long (s); a second signal comes within half a one.
FIRST_S, AGAIN_S = 4.0, 0.3
PATIENCE_S = 120.0


class Stopped(NamedTuple):
    """How a process ended, with what it printed and when (s) which signals came."""

    returncode: int
    output: str
    signals: list[tuple[float, signal.Signals]]

    @property
    def is_clean(self) -> bool:
        """Whether nothing shows that the end was not its own idea."""
        return self.returncode == 0 and "Traceback" not in self.output


def stop_at_random(
    command: Sequence[str], environment: Mapping[str, str], rng: np.random.Generator, *, twice: bool
) -> Stopped:
    """Start a program and send it SIGINT or SIGTERM, once or twice, as early as its first line."""
    kinds = [signal.SIGINT, signal.SIGTERM]
    signals = []
    with subprocess.Popen(
        command,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        wait_for_python(process.pid)
        started = time.monotonic()
        # Squared, so that most come early.
        time.sleep(FIRST_S * rng.uniform() ** 2)
        for _ in range(1 + twice):
            kind = kinds[int(rng.integers(2))]
            signals.append((time.monotonic() - started, kind))
            process.send_signal(kind)
            time.sleep(rng.uniform(0.0, AGAIN_S) if twice else 0.0)
        try:
            output, _ = process.communicate(timeout=PATIENCE_S)
        except subprocess.TimeoutExpired:
            # The signal was lost, which is no clean end either.
            process.kill()
            output, _ = process.communicate()
        return Stopped(process.returncode, output, signals)


def start_command(node: str) -> list[str]:
    """Return the command that starts a node as its console script does."""
    return [sys.executable, "-m", "progeo_ros.start", node, "--ros-args", "--log-level", "warn"]


def wait_for_python(pid: int) -> None:
    """Return once a process handles SIGTERM, which takes Python's own start and one line."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
        (caught,) = re.findall(r"^SigCgt:\s*([0-9a-f]+)$", status, re.MULTILINE)
        if int(caught, 16) & 1 << (signal.SIGTERM - 1):
            return
        time.sleep(0.001)
    raise AssertionError("the program never handles SIGTERM")
