"""Predictions of a benchmark as data: one row per query and rank."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from progeo_core.train.benchmark import Benchmark, Places, distances_m
from progeo_core.train.checkpoint import replace_file
from progeo_core.train.evaluation import Measured

COLUMNS = ("query", "rank", "prediction", "descriptor_distance", "distance_m", "right")


def write_predictions(
    benchmark: Benchmark, measured: Measured, radius_m: float, path: Path
) -> None:
    """Write a CSV file of the `COLUMNS`, best predictions first, whole or not at all.

    query, prediction: images as FOLDER/NAME. rank: from 1. descriptor_distance: L2. distance_m:
    between the positions, empty between UTM zones far apart. right: 1 within `radius_m`, else 0.
    """
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    table.writerows(_rows(benchmark, measured, radius_m))
    replace_file(path, text.getvalue().encode(errors="surrogateescape"))


def _rows(
    benchmark: Benchmark, measured: Measured, radius_m: float
) -> Iterator[tuple[str, int, str, str, str, int]]:
    distance_m = distances_m(benchmark, measured.predictions)
    for query, rank in np.argwhere(measured.predictions >= 0).tolist():
        apart_m = float(distance_m[query, rank])
        yield (
            image_name(benchmark.queries, query),
            rank + 1,
            image_name(benchmark.database, int(measured.predictions[query, rank])),
            f"{measured.distances[query, rank]:.6f}",
            f"{apart_m:.2f}" if math.isfinite(apart_m) else "",
            int(apart_m <= radius_m),
        )


def image_name(places: Places, row: int) -> str:
    """Return the image as FOLDER/NAME: to spreadsheets, '@' first is a formula."""
    return f"{places.images.folder.name}/{places.images.name(row)}"
