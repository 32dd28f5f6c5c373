"""Kill -9 of a data set's writer at random moments: share of kills that leave all of it or nothing.

After the kills the next start must leave nothing but the data set. Plain copies the images into the
folder one by one.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from test.benchmarks.row import Row
from test.dataset_kills import LIFE_S, finish_writing, kill_while_writing

CORRIDOR = Path(__file__).resolve().parents[2] / "progeo_core" / "demo_data" / "corridor"
KILLS = 100
PLAIN = """
import shutil, sys, time
from pathlib import Path
folder = Path(sys.argv[2])
folder.mkdir()
print("ready", flush=True)
for image in sorted(Path(sys.argv[1]).iterdir()):
    shutil.copy(image, folder)
    time.sleep(0.005)
"""


def rows(folder: Path) -> Iterator[Row]:
    """Yield the one row; `AssertionError` where a kill or the start after them leaves anything."""
    rng = np.random.default_rng(0)
    place = folder / "sets"
    place.mkdir()
    csv = CORRIDOR / "ref.csv"
    finished = sum(kill_while_writing(place / "site", csv, rng) for _ in range(KILLS))
    finish_writing(place / "site", csv)
    plain = sum(kill_plain(folder / f"plain{number}", rng) for number in range(KILLS))
    also = {"kills": KILLS, "finished before the kill": finished, "leftovers": 0}
    yield Row("kill -9", "", 1.0, plain / KILLS, more_is_better=True, also=also)


def kill_plain(folder: Path, rng: np.random.Generator) -> bool:
    """Kill a plain copy; return whether it had finished or not begun."""
    source = CORRIDOR / "ref"
    command = [sys.executable, "-c", PLAIN, str(source), str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(rng.uniform(0.0, LIFE_S))
        process.kill()
    return len(list(folder.iterdir())) in (0, len(list(source.iterdir())))
