"""Best predictions for a few queries of the validation, kept epoch by epoch in the run's folder."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from progeo_core.errors import ImageError
from progeo_core.images.codec import make_thumbnail, read_image
from progeo_core.train.benchmark import Benchmark, Places, distances_m
from progeo_core.train.checkpoint import replace_file
from progeo_core.train.evaluation import Measured
from progeo_core.train.journal import Journal
from progeo_core.train.prediction_table import image_name
from progeo_core.train.settings import EPOCHS_FILE, EXAMPLES

_QUERIES, _SIDE_PX = 6, 160


def keep_examples(
    benchmark: Benchmark, measured: Measured, radius_m: float, journal: Journal
) -> None:
    """Add the best predictions of this epoch; of the same queries in all, evenly chosen.

    The file lists epochs with epoch, and for each query: query, prediction, distance_m (null where
    it is unknown), right, query_picture and prediction_picture
    (files beside it, "" where an image cannot be read).
    """
    if not journal.where.is_main:
        return
    folder = journal.folder / EXAMPLES
    folder.mkdir(exist_ok=True)
    count = len(measured.predictions)
    chosen = np.unique(np.linspace(0, count - 1, min(count, _QUERIES)).astype(np.int64))
    best = measured.predictions[:, :1]
    apart_m = distances_m(benchmark, best)[:, 0]
    found = [
        {
            **_picture(benchmark.queries, query, folder, "query"),
            **_picture(benchmark.database, int(best[query, 0]), folder, "prediction"),
            "distance_m": round(far_m, 2) if math.isfinite(far_m) else None,
            "right": far_m <= radius_m,
        }
        for query, far_m in zip(chosen.tolist(), apart_m[chosen].tolist(), strict=True)
        if best[query, 0] >= 0
    ]
    path = folder / EPOCHS_FILE
    earlier: list[Any] = json.loads(path.read_bytes()) if path.exists() else []
    content = [*earlier, {"epoch": len(journal.history), "queries": found}]
    replace_file(path, (json.dumps(content, indent=1) + "\n").encode(errors="surrogateescape"))


def _picture(places: Places, row: int, folder: Path, role: str) -> dict[str, str]:
    """Return the name of an image and of a small picture of it, which is written once."""
    path = folder / f"{role}_{row}.jpg"
    if not path.exists():
        try:
            replace_file(path, make_thumbnail(read_image(places.images[row]), _SIDE_PX))
        except ImageError:
            return {role: image_name(places, row), f"{role}_picture": ""}
    return {role: image_name(places, row), f"{role}_picture": path.name}
