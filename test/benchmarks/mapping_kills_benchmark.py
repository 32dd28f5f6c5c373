"""Kill -9 of the mapping node at random moments: share of the acknowledged keyframes that are kept.

Each kill is of a real node that maps images over DDS into one map, which the next node continues as
it was left; half of them are killed while ~/save_map is asked for again and again. The map must
open, verify and hold every keyframe of before. Plain appends the same bytes to a file as Python
buffers it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import numpy as np

from test.benchmarks.row import Row
from test.mapping_kills import LIFE_S, kill_while_mapping, private_environment

ROOT = Path(__file__).resolve().parent.parent.parent

IMAGES = ROOT / "progeo_core" / "demo_data" / "corridor" / "ref"
KILLS = 100
# A descriptor of float16 and a thumbnail, twenty times a second.
RECORD, PERIOD_S = 4096, 0.05
PLAIN = f"""
import sys, time
with open(sys.argv[1], "ab") as file:
    while True:
        file.write(bytes({RECORD}))
        print("saved", flush=True)
        time.sleep({PERIOD_S})
"""


def rows(folder: Path) -> Iterator[Row]:
    """Yield the one row; `AssertionError` where a map does not open or anything is missing."""
    rng = np.random.default_rng(0)
    files = sorted(IMAGES.glob("*.jpg"))
    with patch.dict(os.environ, private_environment()):
        kills = [
            kill_while_mapping(folder / "killed.progeo", files, rng, saving=number % 2 == 1)
            for number in range(KILLS)
        ]
    plain = [kill_plain(folder / f"plain{number}", rng) for number in range(KILLS)]
    acknowledged = sum(kill.acknowledged for kill in kills)
    also = {
        "kills": len(kills),
        "acknowledged": acknowledged,
        "found": sum(kill.found for kill in kills),
        "s per kill": float(np.mean([kill.seconds for kill in kills])),
        "plain acknowledged": sum(said for said, _ in plain),
        "plain found": sum(found for _, found in plain),
    }
    ours = sum(min(kill.found, kill.acknowledged) for kill in kills) / acknowledged
    kept = sum(min(said, found) for said, found in plain) / sum(said for said, _ in plain)
    yield Row("kill -9", "", ours, kept, more_is_better=True, also=also)


def kill_plain(path: Path, rng: np.random.Generator) -> tuple[int, int]:
    """Kill a plain writer; return how many records it said that it had saved, and how many are."""
    command = [sys.executable, "-c", PLAIN, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = len(process.stdout.readline().split())
        time.sleep(rng.uniform(0.0, LIFE_S))
        process.kill()
        said += len(process.stdout.read().split())
    return said, path.stat().st_size // RECORD
