"""Time per image of filter and consensus in a sequence on 100 000 places, against its search.

Plain is the search for similar places in the same map, which every method needs. Descriptors are
synthetic; the camera passes the places in order.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from progeo_core.localization.localizer import Localizer
from progeo_core.localization.localizer_settings import LocalizerSettings
from test.benchmarks.clustered_map import DIMENSION, clustered_map
from test.benchmarks.map_opening_benchmark import NoEncoder
from test.benchmarks.row import Row

COUNT, IMAGES, WARM_UP = 100_000, 300, 20


def rows(folder: Path) -> Iterator[Row]:
    """Yield one row."""
    path, clusters = clustered_map(folder, COUNT)
    localizer = Localizer.open(path, NoEncoder(), LocalizerSettings(sequence=True))
    drive = clusters.around(np.arange(IMAGES) + 1000)
    answers = [
        localizer.localize_descriptor(descriptor, (step + 1) * 10**9)
        for step, descriptor in enumerate(drive)
    ][WARM_UP:]
    estimate, search = (
        np.array([getattr(answer.seconds, step) for answer in answers]) * 1e3
        for step in ("estimate", "search")
    )
    also = {
        "p90 ms": float(np.quantile(estimate, 0.9)),
        "least ms": float(estimate.min()),
        "plain p90 ms": float(np.quantile(search, 0.9)),
        "accepted": float(np.mean([answer.accepted for answer in answers])),
    }
    case = f"{COUNT:,} × {DIMENSION}"
    yield Row(case, "ms", float(np.median(estimate)), float(np.median(search)), also=also)
