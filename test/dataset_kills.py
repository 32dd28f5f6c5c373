"""Kill -9 of a process that writes a data set, at random moments."""

import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from progeo_core.dataset.plan import DatasetSettings
from progeo_core.dataset.writer import write_dataset
from progeo_core.records.image_source import source_of_records

# About as long as writing the corridor takes, from the plan to the last rename.
LIFE_S = 0.8
_SETTINGS = DatasetSettings(cell_m=5.0)
_WRITE = """
import sys
from pathlib import Path
from progeo_core.dataset.plan import DatasetSettings
from progeo_core.dataset.writer import write_dataset
from progeo_core.records.image_source import source_of_records
source = source_of_records(Path(sys.argv[1]))
print("ready", flush=True)
write_dataset(Path(sys.argv[2]), source, DatasetSettings(cell_m=5.0))
"""


def kill_while_writing(folder: Path, csv: Path, rng: np.random.Generator) -> bool:
    """Start a process that writes a data set and kill it; return whether it had finished.

    Raises `AssertionError` where the folder then holds a part of the data set, or where anything
    but the one unfinished folder lies beside it. A finished data set is removed.
    """
    command = [sys.executable, "-c", _WRITE, str(csv), str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(rng.uniform(0.0, LIFE_S))
        process.kill()
    finished = folder.exists()
    unfinished = folder.with_name(f".{folder.name}.unfinished")
    beside = {path for path in folder.parent.iterdir() if folder.name in path.name}
    assert beside <= ({folder} if finished else {unfinished}), beside
    if finished:
        assert (folder / "dataset.json").is_file()
        folder.rename(folder.with_name(f"finished-{time.monotonic_ns()}"))
    return finished


def finish_writing(folder: Path, csv: Path) -> None:
    """Write the data set after kills; raise `AssertionError` where they left anything."""
    report = write_dataset(folder, source_of_records(csv), _SETTINGS)
    assert len(list(folder.rglob("*.jpg"))) == sum(report.images.values())
    assert not list(folder.parent.glob(f".{folder.name}*"))
