"""Compare models on two traverses that their training has not seen.

    python training/ablation.py MODEL...

Recall@1 of plain cosine similarity, within 2 m on the shipped corridor and within the marked frames
on RTAB-Map's corridor loop. Models named NAME-0, NAME-1, ... are runs of NAME with other seeds.
"""

from __future__ import annotations

import argparse
import csv
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from progeo_core.descriptors.encoder import Encoder
from progeo_core.images.codec import read_image
from progeo_core.inference.loading import load_encoder
from progeo_core.records.records import read_records

_ROOT = Path(__file__).resolve().parent.parent
_CORRIDOR = _ROOT / "progeo_core" / "demo_data" / "corridor"
_LOOP = _ROOT / "test" / "data" / "rtabmap_corridor_loop"
_RADIUS_M = 2.0


class Recalls(NamedTuple):
    """Recall@1 on both traverses."""

    corridor: float
    loop: float


def measure(encoder: Encoder) -> Recalls:
    """Describe both traverses and find every query's nearest neighbour."""
    return Recalls(_corridor_recall(encoder), _loop_recall(encoder))


def _corridor_recall(encoder: Encoder) -> float:
    places, queries = (read_records(_CORRIDOR / name) for name in ("ref.csv", "query.csv"))
    best = _nearest(_describe(encoder, queries.images), _describe(encoder, places.images))
    error = np.linalg.norm(queries.position[:, :2] - places.position[best, :2], axis=1)
    return float(np.mean(error <= _RADIUS_M))


def _loop_recall(encoder: Encoder) -> float:
    """Search the frames of lap 2 in lap 1; `gt_frames` names those of the same place."""
    with (_LOOP / "records.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    images = [_LOOP / row["image"] for row in rows]
    descriptors = _describe(encoder, images)
    second = np.array([row["traverse"] != "lap1" for row in rows])
    best = _nearest(descriptors[second], descriptors[~second])
    first_lap = [row["frame"] for row in rows if row["traverse"] == "lap1"]
    truth = [row["gt_frames"].split() for row in rows if row["traverse"] != "lap1"]
    return float(np.mean([first_lap[i] in right for i, right in zip(best, truth, strict=True)]))


def _describe(encoder: Encoder, images: Sequence[Path]) -> NDArray[np.float32]:
    return encoder.encode([read_image(path) for path in images])


def _nearest(queries: NDArray[np.float32], places: NDArray[np.float32]) -> NDArray[np.int64]:
    best: NDArray[np.int64] = np.argmax(queries @ places.T, axis=1)
    return best


def _runs(models: Sequence[str]) -> Iterator[tuple[str, list[Recalls]]]:
    """Yield the recalls of all seeds by name."""
    by_name = defaultdict(list)
    for model in models:
        name, _, seed = Path(model).name.rpartition("-")
        by_name[name if seed.isdigit() else Path(model).name].append(measure(load_encoder(model)))
    yield from by_name.items()


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="+", metavar="MODEL", help="names or folders")
    models = parser.parse_args().models
    table = Table("model", "seeds", "corridor R@1", "loop R@1", title="mean ± standard deviation")
    for name, recalls in _runs(models):
        columns = np.array(recalls).T
        figures = [f"{row.mean():.3f} ± {row.std(ddof=len(row) > 1):.3f}" for row in columns]
        table.add_row(name, str(len(recalls)), *figures)
    Console().print(table)


if __name__ == "__main__":
    main()
