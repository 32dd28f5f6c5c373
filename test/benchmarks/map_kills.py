"""Kill -9 of programs that change a map: `python -m test.benchmarks.map_kills [KILLS]`, 100 each.

Prints a Markdown table: what they had acknowledged, what of that was lost, and files that were
still there after the next start.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np

from test.map_kills import CASES, kill_once

KILLS = 100


def main(kills: int) -> None:
    """Kill every case so many times."""
    rng = np.random.default_rng(0)
    print("| killed while it | kills | acknowledged | lost | leftovers |\n|---|---|---|---|---|")
    for name in CASES:
        with tempfile.TemporaryDirectory() as folder:
            every = [kill_once(name, Path(folder), rng) for _ in range(kills)]
        acknowledged = sum(kill.acknowledged for kill in every)
        lost = sum(kill.lost for kill in every)
        leftovers = sorted({name for kill in every for name in kill.leftovers})
        print(f"| {name} | {kills} | {acknowledged} | {lost} | {', '.join(leftovers) or 0} |")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else KILLS)
