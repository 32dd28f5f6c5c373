"""SIGINT and SIGTERM at random moments from a node's start: share of the nodes that end cleanly.

Fifty starts of the three nodes in turn, every other one with two signals within 0.3 s; clean is
exit code 0 and no traceback. Plain imports the relay and runs its `main`, as a script would.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from test.benchmarks.row import Row
from test.mapping_kills import private_environment
from test.stop_signals import NODES, start_command, stop_at_random

STARTS = 50
PLAIN = """
import signal
signal.signal(signal.SIGTERM, signal.default_int_handler)
from progeo_ros.pose_relay_node import main
raise SystemExit(main())
"""


def rows(folder: Path) -> Iterator[Row]:
    """Yield the one row."""
    del folder
    rng, environment = np.random.default_rng(0), private_environment()
    commands = [start_command(NODES[number % len(NODES)]) for number in range(STARTS)]
    ours = [
        stop_at_random(command, environment, rng, twice=number % 2 == 1)
        for number, command in enumerate(commands)
    ]
    for stopped in ours:
        if not stopped.is_clean:
            print(stopped, flush=True)
    plain = [
        stop_at_random([sys.executable, "-c", PLAIN], environment, rng, twice=number % 2 == 1)
        for number in range(10)
    ]
    yield Row(
        "clean ends",
        "",
        float(np.mean([one.is_clean for one in ours])),
        float(np.mean([one.is_clean for one in plain])),
        more_is_better=True,
        also={"starts": STARTS, "plain starts": len(plain)},
    )
