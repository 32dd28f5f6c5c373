"""A process that runs cases under a limit of time and memory, and the side that gives them out.

It reads lines "KIND NUMBER" and answers each with one line of JSON.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import resource
import selectors
import signal
import subprocess
import sys
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import NamedTuple

from test.fuzz.kind import Kind, Outcome, SilentChangeError, TookTooLong, make_case, run_case

ROOT = Path(__file__).resolve().parents[2]
# Of the case alone, by the clock of the process: other processes may be at work.
CPU_S = 20.0
MEMORY_BYTES = 1_500_000_000
# Code that does not come back to Python is ended after this long, whatever else is at work.
_WALL_S = 300.0


class Result(NamedTuple):
    """Outcome of one case, with the traceback or what else went wrong."""

    kind: str
    case: int
    outcome: Outcome
    detail: str = ""


class Worker:
    """A process that runs one case after the other, and is started again when a case ended it."""

    def __init__(
        self, module: str = "test.fuzz.kinds", wall_s: float = _WALL_S, cpu_s: float = CPU_S
    ) -> None:
        """Take where KINDS are, and how long (s) an answer may take, by the clock and of work."""
        self._module, self._wall_s, self._cpu_s = module, wall_s, cpu_s
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def run(self, kind: str, case: int) -> Result:
        """Run one case."""
        process = self._process or self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        # A process that just died takes nothing; then no answer comes either.
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(f"{kind} {case}\n".encode())
            process.stdin.flush()
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            ready = selector.select(self._wall_s)
        line = process.stdout.readline() if ready else b""
        if line:
            outcome, detail = json.loads(line)
            return Result(kind, case, Outcome(outcome), detail)
        code = self._stop()
        if ready:
            return Result(kind, case, Outcome.WRONG, f"the process ended with {code}")
        return Result(kind, case, Outcome.HANG, f"no answer within {self._wall_s:g} s")

    def _start(self) -> subprocess.Popen[bytes]:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "test.fuzz.worker", self._module, str(self._cpu_s)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={
                "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
                **os.environ,
                "PYTHONPATH": str(ROOT),
            },
        )
        return self._process

    def _stop(self) -> int:
        if self._process is None:
            return 0
        process, self._process = self._process, None
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(1.0)  # one that ended by itself says how
        process.kill()
        with process:
            return process.wait()


def run_here(
    kinds: Mapping[str, Kind],
    name: str,
    number: int,
    seeds: Sequence[object],
    cpu_s: float = CPU_S,
) -> Result:
    """Run one case in this process, under its limits."""
    kind = kinds[name]
    case = make_case(kind, name, seeds, number)
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
    limit = pages * resource.getpagesize() + MEMORY_BYTES
    usual = resource.getrlimit(resource.RLIMIT_AS)
    signal.signal(signal.SIGPROF, _end)
    # Again and again, as a reader may be in a place where exceptions are lost.
    signal.setitimer(signal.ITIMER_PROF, cpu_s, 1.0)
    resource.setrlimit(resource.RLIMIT_AS, (limit, usual[1]))
    try:
        outcome, detail = run_case(kind, case), ""
    except TookTooLong:
        outcome, detail = Outcome.HANG, traceback.format_exc(limit=-8)
    except SilentChangeError:
        outcome, detail = Outcome.SILENT, traceback.format_exc()
    except BaseException:
        outcome, detail = Outcome.WRONG, traceback.format_exc(limit=-12)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, usual)
        signal.setitimer(signal.ITIMER_PROF, 0.0)
    return Result(name, number, outcome, detail[-6000:])


def _end(_: int, __: FrameType | None) -> None:
    raise TookTooLong


def checked_seeds(kinds: Mapping[str, Kind], name: str) -> Sequence[object]:
    """Return the seeds of a kind, each of which must be read; this also imports what reads it."""
    seeds = kinds[name].seeds()
    for seed in seeds:
        outcome = run_case(kinds[name], seed)
        assert outcome is Outcome.READ, f"a seed of {name} is {outcome.value}"
    return seeds


def main(module: str, cpu_s: float) -> None:
    """Answer on the real standard output; what libraries print goes nowhere."""
    import importlib

    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    logging.disable()
    kinds: Mapping[str, Kind] = importlib.import_module(module).KINDS
    seeds: dict[str, Sequence[object]] = {}
    for line in sys.stdin:
        name, number = line.rsplit(maxsplit=1)
        try:
            if name not in seeds:
                seeds[name] = checked_seeds(kinds, name)
            result = run_here(kinds, name, int(number), seeds[name], cpu_s)
        except Exception:
            result = Result(name, int(number), Outcome.WRONG, traceback.format_exc())
        print(json.dumps([result.outcome.value, result.detail]), file=answers, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
