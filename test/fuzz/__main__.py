"""Run many cases and print the table: `python -m test.fuzz --cases 50000`; or one, in full."""

from __future__ import annotations

import argparse
import collections
import os
import queue
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from test.fuzz.kind import Kind, Outcome
from test.fuzz.kinds import KINDS
from test.fuzz.worker import Result, Worker, checked_seeds, run_here

_GOOD = (Outcome.READ, Outcome.REFUSED)
_REPORT_S = 10.0
# Cases that a worker takes at once: long enough that making the seeds does not count.
_PIECE = 100

Counts = Mapping[str, Mapping[Outcome, int]]


def shares(kinds: Mapping[str, Kind], cases: int) -> dict[str, int]:
    """Return how many of the cases each kind has, at least one."""
    total = sum(kind.share for kind in kinds.values())
    return {name: max(1, round(cases * kind.share / total)) for name, kind in kinds.items()}


def table(counts: Counts) -> str:
    """Return the counts as a table in Markdown."""
    heads = [outcome.value for outcome in Outcome]
    lines = [f"| input | cases | {' | '.join(heads)} |", f"|---|{'--:|' * (1 + len(heads))}"]
    total: collections.Counter[Outcome] = collections.Counter()
    for name, row in (*counts.items(), ("all", total)):
        figures = [sum(row.values()), *(row.get(outcome, 0) for outcome in Outcome)]
        lines.append(f"| {name} | {' | '.join(f'{figure:,}' for figure in figures)} |")
        total.update(row)
    return "\n".join(lines)


def run(kinds: Mapping[str, Kind], cases: int, first: int, jobs: int) -> Iterator[Result]:
    """Run the share of every kind, in several workers; yield results as they come."""
    pieces: queue.SimpleQueue[tuple[str, range]] = queue.SimpleQueue()
    results: queue.SimpleQueue[Result | None] = queue.SimpleQueue()
    for name, count in shares(kinds, cases).items():
        for start in range(first, first + count, _PIECE):
            pieces.put((name, range(start, min(start + _PIECE, first + count))))

    def work() -> None:
        with Worker() as worker:
            while not pieces.empty():
                name, numbers = pieces.get()
                for number in numbers:
                    results.put(worker.run(name, number))
        results.put(None)

    for _ in range(jobs):
        threading.Thread(target=work, daemon=True).start()
    ended = 0
    while ended < jobs:
        result = results.get()
        if result is None:
            ended += 1
        else:
            yield result


def main() -> int:
    """Run as the command line says; return 1 where any case went wrong."""
    parser = argparse.ArgumentParser(prog="python -m test.fuzz", description=__doc__)
    parser.add_argument("--cases", type=int, default=2000, help="of all kinds together")
    parser.add_argument("--first", type=int, default=0, help="number of the first case of a kind")
    parser.add_argument("--kind", choices=list(KINDS), help="of this kind alone")
    parser.add_argument("--case", type=int, help="run this case here and show its traceback")
    parser.add_argument("--out", type=Path, help="file for the table")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    options = parser.parse_args()
    kinds = {options.kind: KINDS[options.kind]} if options.kind else KINDS
    if options.case is not None and options.kind:
        seeds = checked_seeds(KINDS, options.kind)
        result = run_here(KINDS, options.kind, options.case, seeds)
        print(result.outcome.value, result.detail)
        return int(result.outcome not in _GOOD)
    counts: dict[str, collections.Counter[Outcome]] = {
        name: collections.Counter() for name in kinds
    }
    total, reported = sum(shares(kinds, options.cases).values()), time.monotonic()
    results = run(kinds, options.cases, options.first, options.jobs)
    for done, result in enumerate(results, start=1):
        counts[result.kind][result.outcome] += 1
        if result.outcome not in _GOOD:
            print(f"{result.kind} {result.case}: {result.outcome.value}\n{result.detail}")
        if time.monotonic() - reported > _REPORT_S:
            reported = time.monotonic()
            print(f"{done:,} of {total:,} cases", file=sys.stderr, flush=True)
    text = table(counts)
    print(text)
    if options.out:
        options.out.write_text(f"{text}\n", encoding="utf-8")
    return int(any(row[one] for row in counts.values() for one in Outcome if one not in _GOOD))


if __name__ == "__main__":
    sys.exit(main())
