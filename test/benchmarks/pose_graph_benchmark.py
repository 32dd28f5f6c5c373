"""Absolute trajectory error (evo) of a campus loop driven twice, straightened by its loop closures.

Plain is the odometry, which drifts, at three noise levels with five seeds each; figures are means,
"least better" is of the worst seed. Closures are as noisy as they claim. Every other seed has
twenty wrong ones besides; then there are drives with look-alike stretches, and with nothing but
wrong closures.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import numpy as np

from progeo_core.slam.pose_graph import LoopConstraint
from test.benchmarks.row import Row
from test.drifting_drive import (
    LEVELS,
    Errors,
    Poses,
    drifting,
    errors,
    graph_of,
    look_alike_loops,
    right_loops,
    two_laps,
    wrong_loops,
)

ROOT = Path(__file__).resolve().parent.parent.parent

CAMPUS = ROOT / "progeo_core" / "demo_data" / "campus_loop"
SEEDS, WRONG = range(5), 20

Loops: TypeAlias = Callable[[int, np.random.Generator], list[LoopConstraint]]


def why_skipped() -> str:
    """Return which package is missing, "" for none."""
    missing = [name for name in ("gtsam", "evo") if importlib.util.find_spec(name) is None]
    return f"{' and '.join(missing)} not installed" if missing else ""


def rows(folder: Path) -> Iterator[Row]:
    """Yield one row per noise level and kind of closures."""
    del folder
    truth = two_laps(CAMPUS)

    def mostly_right(seed: int, rng: np.random.Generator) -> list[LoopConstraint]:
        return right_loops(truth, rng) + wrong_loops(WRONG * (seed % 2), rng)

    def look_alike(seed: int, rng: np.random.Generator) -> list[LoopConstraint]:
        return right_loops(truth, rng) + look_alike_loops()

    def all_wrong(seed: int, rng: np.random.Generator) -> list[LoopConstraint]:
        return wrong_loops(WRONG, rng)

    kinds = {"": mostly_right, ", look-alike": look_alike, ", only wrong": all_wrong}
    for kind, loops in kinds.items():
        for level in LEVELS:
            found = [straighten(truth, level, seed, loops) for seed in SEEDS]
            yield _row(f"{level} noise{kind}", found)


def straighten(truth: Poses, level: str, seed: int, loops: Loops) -> Errors:
    """Drive once and return both errors."""
    rng = np.random.default_rng(seed)
    odometry = drifting(truth, level, rng)
    graph = graph_of(odometry)
    for loop in loops(seed, rng):
        graph.add_loop(loop)
    return errors(graph, odometry, truth)


def _row(case: str, found: list[Errors]) -> Row:
    before, after = np.mean(found, axis=0)
    ratios = [one.ratio for one in found]
    also = {
        "mean better": float(np.mean(ratios)),
        "least better": min(ratios),
        "seeds worse": sum(ratio < 0.99 for ratio in ratios),
    }
    return Row(case, "m", float(after), float(before), also=also)
