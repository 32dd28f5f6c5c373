"""One line of a benchmark: a figure of ours beside the plain alternative's, from one run."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np


class Row(NamedTuple):
    """Hold two figures in one unit, and what else was found out on the way.

    ours, plain: medians where they are durations. also: other figures by name.
    """

    case: str
    unit: str
    ours: float
    plain: float
    more_is_better: bool = False
    also: Mapping[str, float] = {}

    @property
    def ratio(self) -> float:
        """Return how many times better ours is."""
        better, worse = (self.ours, self.plain) if self.more_is_better else (self.plain, self.ours)
        return better / worse if worse else float("nan")

    def to_json(self) -> dict[str, Any]:
        """Return the fields and the ratio."""
        return {**self._asdict(), "also": dict(self.also), "ratio": self.ratio}


def milliseconds(*functions: Callable[[], object], repeats: int) -> list[list[float]]:
    """Return the durations (ms) of every function, called in turn after one call that is not timed.

    Taking turns lets whatever else the machine does slow all of them alike.
    """
    for function in functions:
        function()
    durations: list[list[float]] = [[] for _ in functions]
    for _ in range(repeats):
        for function, own in zip(functions, durations, strict=True):
            started = time.perf_counter()
            function()
            own.append((time.perf_counter() - started) * 1e3)
    return durations


def compare(
    case: str,
    ours: Callable[[], object],
    plain: Callable[[], object],
    *,
    repeats: int,
    also: Mapping[str, float] | None = None,
) -> Row:
    """Return the median durations (ms) of two functions that do the same."""
    own, other = milliseconds(ours, plain, repeats=repeats)
    # The least durations tell what an idle machine does, whatever else ran on this one.
    figures = {
        "least ms": min(own),
        "plain least ms": min(other),
        "p95 ms": float(np.percentile(own, 95)),
        "plain p95 ms": float(np.percentile(other, 95)),
    }
    median = float(np.median(own)), float(np.median(other))
    return Row(case, "ms", *median, also={**figures, **(also or {})})
