"""Kills -9 of programs that write and read a fleet's store together, at random moments.

`python -m test.fleet_kills write|read URI ROBOT` is such a program: a writer says what the store
has acknowledged, a reader how many places it found, and both run until they are killed. Two of the
four writers push the same places, so that the same ones arrive twice at a time.
"""

from __future__ import annotations

import itertools
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from progeo_core.fleet.lance_store import open_fleet
from progeo_core.fleet.store import FleetPlaces, FleetSession, FleetStore, fleet_places
from progeo_core.map.places import Places
from test.fleet_places import MODEL, SESSION
from test.map_kills import Kill
from test.place_views import make_view

PROGRAMS = (
    *(("write", robot) for robot in ("ada", "bob", "eve", "eve")),
    *(("read", ""), ("read", "")),
)
BATCH = 20
# A program is killed this long (s) after the last one, at the latest.
_LIFE_S = 1.0
# One writer joins files after so many batches.
_COMPACTED = 5


def kill_all(
    folder: Path, rng: np.random.Generator, programs: Sequence[tuple[str, str]] = PROGRAMS
) -> Kill:
    """Start all programs, kill one after the other, then compare the store with what they said."""
    uri = str(folder / "fleet")
    open_fleet(uri, MODEL)
    commands = [[sys.executable, "-m", "test.fleet_kills", *what, uri] for what in programs]
    running = [subprocess.Popen(one, stdout=subprocess.PIPE, text=True) for one in commands]
    said: list[list[str]] = []
    try:
        for process in running:
            assert process.stdout is not None
            said.append([process.stdout.readline()])
        for row in rng.permutation(len(running)):
            time.sleep(rng.uniform(0.0, _LIFE_S))
            running[row].send_signal(signal.SIGKILL)
            # A reader that found a half batch has ended by itself.
            assert running[row].wait() == -signal.SIGKILL, programs[row]
    finally:
        for process in running:
            process.kill()
    for process, lines in zip(running, said, strict=True):
        assert process.stdout is not None
        lines.extend(process.stdout.readlines())
        process.stdout.close()
    return _compared(uri, programs, said)


def _compared(uri: str, programs: Sequence[tuple[str, str]], said: list[list[str]]) -> Kill:
    held = _held(open_fleet(uri))
    acknowledged = lost = 0
    for (what, robot), lines in zip(programs, said, strict=True):
        # The last line may be cut; what was printed whole was promised.
        numbers = [int(line) for line in lines if line.endswith("\n")]
        assert numbers, f"{what} {robot} ended before it did anything"
        if what == "write":
            acknowledged += BATCH * len(numbers)
            lost += sum(BATCH for number in numbers if number * BATCH >= held[robot])
    return Kill(acknowledged, lost, ())


def _held(store: FleetStore) -> Counter[str]:
    """Return how many places each robot has, all of them whole and once."""
    ids: list[str] = []
    held: Counter[str] = Counter()
    for block in store.region(None):
        ids += block.ids
        held.update(key.split("/")[0] for key in block.sessions)
    assert len(ids) == len(set(ids)), "a place is there twice"
    assert not any(count % BATCH for count in held.values()), f"a batch is cut: {held}"
    return held


def _batch(session: FleetSession, number: int) -> FleetPlaces:
    numbers = np.arange(number * BATCH, (number + 1) * BATCH)
    position = np.stack([10.0 * numbers, 0.0 * numbers, 0.0 * numbers], axis=-1)
    names = [str(one) for one in numbers]
    jpegs = [b"x" * (one % 997 + 1) for one in numbers.tolist()]
    views = [make_view(at, int(one), 5) for at, one in zip(position, numbers, strict=True)]
    unknown = np.full(BATCH, np.nan)
    places = Places(position, unknown, numbers, names, names, names, jpegs, views)
    vectors = np.random.default_rng(number).normal(size=(BATCH, MODEL.dimension))
    return fleet_places(session, places, vectors.astype(np.float16), Counter())


def _write(store: FleetStore, robot: str) -> None:
    session = SESSION._replace(robot=robot)
    # From the last batch on: it is there already.
    first = max(0, _held(store)[robot] // BATCH - 1)
    for number in itertools.count(first):
        store.append(session, _batch(session, number))
        print(number, flush=True)
        if robot == "ada" and number % _COMPACTED == 0:
            store.compact()


def _read(store: FleetStore, _: str) -> None:
    before: Counter[str] = Counter()
    while True:
        held = _held(store)
        assert all(held[robot] >= count for robot, count in before.items()), "places are gone"
        before = held
        print(held.total(), flush=True)


if __name__ == "__main__":
    _what, _robot, _uri = sys.argv[1:]
    {"write": _write, "read": _read}[_what](open_fleet(_uri), _robot)
