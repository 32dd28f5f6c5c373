"""Predictions of a benchmark as data: one row per query and rank."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from progeo_core.train.benchmark import Benchmark, Places, right_predictions
from progeo_core.train.checkpoint import replace_file
from progeo_core.train.evaluation import Measured

COLUMNS = ("query", "rank", "prediction", "descriptor_distance", "distance_m", "right")


def write_predictions(
    benchmark: Benchmark, measured: Measured, radius_m: float, path: Path
) -> None:
    """Write a CSV file of the `COLUMNS`, best predictions first, whole or not at all.

    query, prediction: images as FOLDER/NAME. rank: from 1. descriptor_distance: L2. distance_m:
    between the positions, empty between different UTM zones. right: 1 within `radius_m`, else 0.
    """
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    table.writerows(_rows(benchmark, measured, radius_m))
    replace_file(path, text.getvalue().encode(errors="surrogateescape"))


def _rows(
    benchmark: Benchmark, measured: Measured, radius_m: float
) -> Iterator[tuple[str, int, str, str, str, int]]:
    queries, database = benchmark.queries, benchmark.database
    right = right_predictions(benchmark, measured.predictions, radius_m)
    for query, rank in np.argwhere(measured.predictions >= 0).tolist():
        row = int(measured.predictions[query, rank])
        distance_m = math.hypot(
            database.east_m[row] - queries.east_m[query],
            database.north_m[row] - queries.north_m[query],
        )
        one_zone = database.zone[row] == queries.zone[query]
        yield (
            _name(queries, query),
            rank + 1,
            _name(database, row),
            f"{measured.distances[query, rank]:.6f}",
            f"{distance_m:.2f}" if one_zone else "",
            int(right[query, rank]),
        )


def _name(places: Places, row: int) -> str:
    """Return the image as FOLDER/NAME: to spreadsheets, '@' first is a formula."""
    return f"{places.images.folder.name}/{places.images.name(row)}"
