"""Kill -9 of programs that write, 100 each: `python -m test.benchmarks.kills [KILLS] [NAME...]`.

Prints a Markdown table: what they had acknowledged, what of that was lost, and files that were
still there after the next start.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest.mock import patch

import numpy as np

from test import command_kills, dataset_kills, fleet_kills, map_kills, training_kills
from test.benchmarks.mapping_kills_benchmark import IMAGES
from test.corridor_dataset import make_dataset
from test.map_kills import Kill

KILLS = 100
_Random = np.random.Generator


def kill_map_program(name: str, folder: Path, rng: _Random) -> Callable[[], Kill]:
    """Return what kills a program that changes a map."""
    return lambda: map_kills.kill_once(name, folder, rng)


def kill_command(name: str, folder: Path, rng: _Random) -> Callable[[], Kill]:
    """Return what kills a `progeo` command."""
    command = command_kills.CommandKills(name, folder)
    return lambda: command.kill(rng)


def kill_training(name: str, folder: Path, rng: _Random) -> Callable[[], Kill]:
    """Return what kills a stage of training."""
    training = training_kills.TrainingKills(name, make_dataset(folder / "set"), folder)
    return lambda: training.kill(rng)


def kill_data_set(_: str, folder: Path, rng: _Random) -> Callable[[], Kill]:
    """Return what kills the writer of a data set, which raises where it left anything."""
    csv = IMAGES.with_suffix(".csv")

    def kill() -> Kill:
        finished = dataset_kills.kill_while_writing(folder / "site", csv, rng)
        dataset_kills.finish_writing(folder / "site", csv)
        (folder / "site").rename(folder / f"done-{len(list(folder.iterdir()))}")
        return Kill(int(finished), 0, ())

    return kill


def kill_fleet(_: str, folder: Path, rng: _Random) -> Callable[[], Kill]:
    """Return what kills four writers and two readers of a fleet's store, one after the other."""
    return lambda: fleet_kills.kill_all(folder, rng)


def kill_node(_: str, folder: Path, rng: _Random) -> Callable[[], Kill]:
    """Return what kills a node that maps, which raises where anything acknowledged is missing."""
    # Most machines that run the others have no ROS.
    from test.mapping_kills import kill_while_mapping, private_environment

    files, saving = sorted(IMAGES.glob("*.jpg")), [False]

    def kill() -> Kill:
        saving[0] = not saving[0]
        with patch.dict(os.environ, private_environment()):
            killed = kill_while_mapping(folder / "site.progeo", files, rng, saving=saving[0])
        return Kill(killed.acknowledged, max(0, killed.acknowledged - killed.found), ())

    return kill


def programs() -> Iterator[tuple[str, Callable[[str, Path, _Random], Callable[[], Kill]]]]:
    """Yield the name of every program, and what kills it."""
    yield from ((name, kill_map_program) for name in map_kills.CASES)
    yield from ((name, kill_command) for name in command_kills.CASES)
    yield from ((name, kill_training) for name in training_kills.STAGES)
    yield "data set", kill_data_set
    yield "fleet", kill_fleet
    yield "mapping node", kill_node


def main(kills: int, names: list[str]) -> None:
    """Kill every program, or those that are named, so many times."""
    rng = np.random.default_rng()
    print("| killed while it | kills | acknowledged | lost | leftovers |\n|---|---|---|---|---|")
    for name, prepare in programs():
        if names and name not in names:
            continue
        with tempfile.TemporaryDirectory() as folder:
            kill = prepare(name, Path(folder), rng)
            every = []
            for number in range(kills):
                every.append(kill())
                print(f"{name}: {number + 1} of {kills}", end="\r", file=sys.stderr, flush=True)
        acknowledged = sum(one.acknowledged for one in every)
        lost = sum(one.lost for one in every)
        leftovers = sorted({left for one in every for left in one.leftovers})
        row = f"| {name} | {kills} | {acknowledged} | {lost} | {', '.join(leftovers) or 0} |"
        print(row, flush=True)


if __name__ == "__main__":
    # Other programs on this machine may try runtimes meanwhile, and remember another.
    with tempfile.TemporaryDirectory() as cache:
        os.environ["XDG_CACHE_HOME"] = cache
        main(int(sys.argv[1]) if len(sys.argv) > 1 else KILLS, sys.argv[2:])
