"""Compare models on the shipped scenes, as one table for docs/models.md.

    PYTHONPATH=. python training/compare_models.py
    PYTHONPATH=. python training/compare_models.py --models mobilenetv2-gem,progeo-CLIP-RN50

Radii: 2.5 frames in the two corridors, one and a half times the 6 m between the places of the
campus map, 1 m in the office. Queries are single images.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import math
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from progeo_core.evaluation.comparison.compare_models import ComparedModel, compare_models
from progeo_core.geo import Frame
from progeo_core.inference.feature_extractor import shared_extractor
from progeo_core.inference.loading import load_encoder
from progeo_core.records.records import Records, read_records

_ROOT = Path(__file__).resolve().parent.parent
_SHIPPED = _ROOT / "progeo_core" / "demo_data"
_LOOP = _ROOT / "test" / "data" / "rtabmap_corridor_loop"
_MODELS = "mobilenetv2-gem,mobilenetv2-vlad,progeo-tiny"
# Frames of the loop after which it repeats, read off its loop matrix.
_LOOP_FRAMES = 40


class Scene(NamedTuple):
    """Database and queries, and the radius (m) within which an answer is right."""

    name: str
    database: Records
    queries: Records
    radius_m: float


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", default=_MODELS, help="separated by commas")
    parser.add_argument("--device", default="auto")
    options = parser.parse_args()
    extractor = shared_extractor(options.device)
    encoders = {name: load_encoder(name, options.device) for name in options.models.split(",")}
    print("| set | model | Recall@1 | @5 | @10 | @20 | second stage @1 | @5 | @10 | @20 |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    costs: dict[str, list[ComparedModel]] = {name: [] for name in encoders}
    for scene in read_scenes():
        found = compare_models(
            scene.database, scene.queries, encoders, scene.radius_m, extractor=extractor
        )
        for one in found.models:
            costs[one.model].append(one)
            recalls = [*one.single.values(), *one.verified.values()]
            name = f"{scene.name}, {found.queries} in {found.database}"
            print(f"| {name} | `{one.model}` | {' | '.join(map(_share, recalls))} |", flush=True)
    print("\n| model | values | ms | kB per place | runs in |\n|---|---|---|---|---|")
    places = [len(scene.database) for scene in read_scenes()]
    for name, sets in costs.items():
        ms = np.median([one.ms_per_image for one in sets])
        size = sum(one.map_bytes for one in sets) / sum(places) / 1e3
        print(f"| `{name}` | {sets[0].dimension} | {ms:.0f} | {size:.1f} | {sets[0].runs_in} |")


def read_scenes() -> Iterator[Scene]:
    """Yield the shipped scenes."""
    reference, query = (
        read_records(_SHIPPED / "corridor" / f"{name}.csv") for name in ("ref", "query")
    )
    yield Scene("corridor", reference, query, 2.5)
    loop = _loop()
    yield Scene("corridor loop", loop.select(slice(0, 40)), loop.select(slice(40, 84)), 2.5)
    campus = read_records(_SHIPPED / "campus_loop" / "records.csv")
    even, odd = (campus.select(slice(start, None, 2)) for start in (0, 1))
    yield Scene("campus", even, odd, 9.0)
    there, again = (read_records(_SHIPPED / "office" / f"{name}.csv") for name in ("map", "query"))
    yield Scene("office", there, again, 1.0)


def _loop() -> Records:
    """Return the loop on a circle with a metre per frame, so that its end is near its start."""
    with (_LOOP / "records.csv").open(newline="", encoding="utf-8") as file:
        images = tuple(_LOOP / row["image"] for row in csv.DictReader(file))
    count = len(images)
    angle = 2.0 * math.pi * (np.arange(count) % _LOOP_FRAMES) / _LOOP_FRAMES
    circle = np.column_stack([np.cos(angle), np.sin(angle), np.zeros(count)])
    unknown, nameless = np.full(count, np.nan), ("",) * count
    records = Records(
        images, circle, Frame.LOCAL, unknown, np.zeros(count, np.int64), nameless, nameless
    )
    return dataclasses.replace(records, position=circle * _LOOP_FRAMES / (2.0 * math.pi))


def _share(value: float) -> str:
    return f"{value:.2f}".removeprefix("0")


if __name__ == "__main__":
    main()
