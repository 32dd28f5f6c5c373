"""Drives without a common frame: which pairs are aligned, how well, and which are refused.

`python -m test.benchmarks.alignment DATA WORK` reads the scenes in DATA (the folders
corridor, rtabmap_corridor_loop, campus_loop, hololens_office and ie_tower), describes each once,
keeps the maps in WORK and prints one table. Scenes without poses get a metre per image; the floors
of the tower are all laid out to one plan, as hard to tell apart as floors can be.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import random
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from progeo_core.errors import ProgeoError
from progeo_core.fleet.alignment import align_maps
from progeo_core.geo import FloatArray
from progeo_core.images.calibration_file import read_calibration
from progeo_core.inference.feature_extractor import shared_extractor
from progeo_core.inference.loading import load_encoder
from progeo_core.map.build import build_map
from progeo_core.map.merge import moved_places, read_places, whole_map
from progeo_core.map.place_map import PlaceMap
from progeo_core.poses.transform import IDENTITY, Transform, level_quaternion
from progeo_core.records.image_source import source_of_records
from progeo_core.verification.view_finder import DepthViewFinder

# Where the frame of the first drive of a pair is in that of the second, which is turned.
FRAME = Transform(np.array([30.0, -12.0, 0.0]), level_quaternion(2.0))
# Clips of a floor: each kind has a lane of its own, 100 m from the next, and a length (m).
KINDS = (
    *("elevator", "hallway_main", "hallway_alt", "hallway_left", "hallway_right", "central"),
    *("stairs", "open", "class", "study", "cafe"),
)
LANE_M, HALLWAY_M, CLIP_M = 100.0, 40.0, 15.0

Row = Mapping[str, object]


class Part(NamedTuple):
    """Some of the images of a scene, from the first on, by steps."""

    scene: str
    first: int = 0
    last: int | None = None
    step: int = 1

    @property
    def site(self) -> str:
        """Return where the scene is."""
        return self.scene.split("-")[0]

    @property
    def name(self) -> str:
        """Return the scene, and its images as a slice."""
        return f"{self.scene} {self.first}:{self.last or ''}:{self.step}"

    def map_in(self, work: Path, frame: Transform = IDENTITY) -> Path:
        """Return its map, which is copied from that of the scene and moved once."""
        name = self.name.replace(":", "-") + ("" if frame is IDENTITY else "-turned")
        path, source = work / f"{name}.progeo", work / f"{self.scene}.progeo"
        if path.exists():
            return path
        with PlaceMap.open(source) as one, whole_map(path, one.fingerprint, one.datum) as part:
            if one.structure is not None:
                part.set_structure(one.structure)
            table = one.places()
            ids = table.ids[self.first : self.last : self.step]
            part.append(moved_places(read_places(one, table, ids), frame), one.descriptors(ids))
        return path


MEETING = (
    (Part("corridor-ref"), Part("corridor-query")),
    (Part("corridor-query"), Part("corridor-ref")),
    (Part("corridor-ref", 0, 60), Part("corridor-query", 0, 60)),
    (Part("corridor-ref", 50), Part("corridor-query", 50)),
    (Part("corridor-ref", 0, None, 2), Part("corridor-query", 1, None, 2)),
    (Part("loop-lap1"), Part("loop-lap2")),
    (Part("campus", 0, None, 2), Part("campus", 1, None, 2)),
    (Part("campus", 0, 36), Part("campus", 36)),
    (Part("office", 0, None, 4), Part("office", 2, None, 4)),
    (Part("office", 0, 200, 2), Part("office", 200, None, 2)),
)

# Images of one pass, whose truth is exact.
ONE_PASS = tuple(
    (Part(scene, first, None, 2), Part(scene, 1 - first, None, 2))
    for scene in ("corridor-ref", "corridor-query")
    for first in (0, 1)
)


class Result(NamedTuple):
    """What became of a pair: "aligned" or the error's name; error in spacings, processor time."""

    outcome: str
    error: float
    seconds: float


def main() -> None:
    """Align all pairs and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--floors", type=int, default=80, help="pairs of floors")
    parser.add_argument("--sites", type=int, default=120, help="pairs of other sites")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    floors = build_scenes(options.data, options.work)
    print("| pair | outcome | error, spacings | processor s |\n|---|---|---|---|")
    for first, second in (*MEETING, *ONE_PASS):
        found = align(first, second, options.work)
        figures = f"{found.outcome} | {found.error:.2f} | {found.seconds:.1f}"
        print(f"| {first.name}, {second.name} | {figures} |", flush=True)
    drives = [*dict.fromkeys(itertools.chain(*MEETING)), *floors[::3]]
    others = [pair for pair in itertools.permutations(drives, 2) if pair[0].site != pair[1].site]
    pairs = list(itertools.combinations(floors, 2))
    _print_apart("floors of a tower", pairs, options.floors, options)
    _print_apart("different sites", others, options.sites, options)


def _print_apart(
    name: str, pairs: Sequence[tuple[Part, Part]], count: int, options: argparse.Namespace
) -> None:
    chosen = random.Random(0).sample(list(pairs), count)
    results = [align(*pair, options.work) for pair in chosen]
    outcomes = [one.outcome for one in results]
    listed = ", ".join(f"{outcomes.count(one)} {one}" for one in sorted(set(outcomes)))
    seconds = float(np.mean([one.seconds for one in results]))
    print(f"| {count} pairs, {name} | {listed} | - | {seconds:.1f} |", flush=True)


def align(first: Part, second: Part, work: Path) -> Result:
    """Align two drives, of which the second one's frame is turned."""
    paths = first.map_in(work), second.map_in(work, FRAME)
    started = time.process_time()
    with PlaceMap.open(paths[0]) as one, PlaceMap.open(paths[1]) as other:
        middle = Transform(other.places().position.mean(axis=0), IDENTITY.orientation)
        spacing_m = _spacing_m(one.places().position)
        try:
            found = align_maps(one, other, device="cpu")
        except ProgeoError as error:
            return Result(type(error).__name__, np.nan, time.process_time() - started)
    aligned, right = (
        frame.then(middle).position for frame in (found.frame.transform, FRAME.inverse())
    )
    error_m = float(np.linalg.norm(aligned - right))
    return Result("aligned", error_m / spacing_m, time.process_time() - started)


def _spacing_m(position: FloatArray) -> float:
    apart = np.linalg.norm(position[:, None] - position[None], axis=2)
    apart[apart == 0.0] = np.inf
    return float(np.median(apart.min(axis=1)))


def build_scenes(data: Path, work: Path) -> list[Part]:
    """Build the map of every scene that has none yet; return the floors of the tower."""
    build = _builder(data, work)
    for name in ("ref", "query"):
        rows = [one for one in _rows(data / "corridor/records.csv") if one["traverse"] == name]
        build(f"corridor-{name}", "corridor", _on_a_line(rows))
    loop = "rtabmap_corridor_loop"
    images = _rows(data / loop / "records.csv")
    for name in ("lap1", "lap2"):
        build(f"loop-{name}", loop, _on_a_line([r for r in images if r["traverse"] == name]))
    build("campus", "campus_loop", _rows(data / "campus_loop/records.csv"))
    build("office", "hololens_office", _rows(data / "hololens_office/records.csv"))
    images = _rows(data / "ie_tower/records.csv")
    names = sorted({str(one["floor"]) for one in images if str(one["floor"]).startswith("floor")})
    for floor in names:
        rows = [one for one in images if one["floor"] == floor]
        build(floor, "ie_tower", _on_a_plan(rows))
    return [Part(floor) for floor in names]


def _builder(data: Path, work: Path) -> Callable[[str, str, Sequence[Row]], None]:
    encoder, extractor = load_encoder(device="cpu"), shared_extractor("cpu")

    def build(name: str, folder: str, rows: Sequence[Row]) -> None:
        path, records = work / f"{name}.progeo", work / f"{name}.csv"
        if path.exists():
            return
        with records.open("w") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            for row in rows:
                files = {
                    one: data / folder / str(row[one]) for one in ("image", "depth") if one in row
                }
                writer.writerow({**row, **files})
        calibration = data / folder / "camera_info.yaml"
        intrinsics = read_calibration(calibration) if calibration.exists() else None
        source = source_of_records(records, intrinsics)
        build_map(path, source, encoder, structure=DepthViewFinder(extractor))

    return build


def _rows(path: Path) -> list[Row]:
    with path.open() as file:
        return list(csv.DictReader(file))


def _on_a_line(rows: Sequence[Row]) -> list[Row]:
    return [
        {"image": one["image"], "x_m": number, "y_m": 0, "yaw_rad": 0}
        for number, one in enumerate(rows)
    ]


def _on_a_plan(rows: Sequence[Row]) -> list[Row]:
    """Return images of a floor with each kind of clip where it is on every floor."""
    placed: list[Row] = []
    for clip in sorted({str(one["video"]) for one in rows}):
        images = sorted(
            (one for one in rows if one["video"] == clip), key=lambda one: int(str(one["frame"]))
        )
        lane = next((number for number, kind in enumerate(KINDS) if kind in clip), len(KINDS))
        x = np.linspace(0.0, HALLWAY_M if "hall" in clip else CLIP_M, len(images))
        placed += [
            {"image": one["image"], "x_m": east, "y_m": lane * LANE_M, "yaw_rad": 0}
            for one, east in zip(images, x.tolist(), strict=True)
        ]
    return placed


if __name__ == "__main__":
    main()
