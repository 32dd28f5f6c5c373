"""Take one keyframe more after 100 000: kept, searched for loop closures, written to the map file.

Plain adds the descriptor to a flat float32 FAISS index and searches the 50 nearest, nothing else.
Memory is what the process grows by for each keyframe, disk what the map file does, of which the
thumbnail is a part. The drive goes round a lap a hundred times: every keyframe closes a loop.
"""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import faiss
import numpy as np
from numpy.typing import NDArray

from progeo_core.descriptors.fingerprint import ModelFingerprint
from progeo_core.images.codec import make_thumbnail, read_image
from progeo_core.localization.answer import CameraFrame
from progeo_core.map.place_map import PlaceMap, Places
from progeo_core.map.recorder import MapRecorder
from progeo_core.slam.keyframes import Keyframe, KeyframeSettings
from progeo_core.slam.loop_closure import LoopCloser, LoopClosureSettings
from progeo_core.slam.session import Session
from test.benchmarks.row import Row, compare

ROOT = Path(__file__).resolve().parent.parent.parent

IMAGE = ROOT / "progeo_core" / "demo_data" / "corridor" / "ref" / "0000000.jpg"
COUNT, DIMENSIONS, TIMED, NEIGHBOURS = 100_000, (512, 1280), 200, 50
LAP, STEP_M, NS = 1000, 1.01, 1_000_000_000
CAMERA, NOISE, BLOCK = "front", 0.5, 10_000

Vectors = NDArray[np.float32]


class Course(NamedTuple):
    """Hold what the places of a lap look like: centres [LAP, D], and what draws around them."""

    centres: Vectors
    random: np.random.Generator

    def views(self, first: int, count: int) -> Vectors:
        """Return unit descriptors [count, D] of the places from `first` on, lap after lap."""
        here = self.centres[np.arange(first, first + count) % LAP]
        noise = self.random.standard_normal(here.shape, dtype=np.float32)
        return unit(here + NOISE * unit(noise))


def rows(folder: Path) -> Iterator[Row]:
    """Yield one row per length of descriptors."""
    for dimension in DIMENSIONS:
        random = np.random.default_rng(0)
        course = Course(unit(random.standard_normal((LAP, dimension), dtype=np.float32)), random)
        yield _row(folder / f"mapped{dimension}.progeo", course, dimension)


def _row(path: Path, course: Course, dimension: int) -> Row:
    fingerprint = ModelFingerprint("synthetic", dimension, "none", "00" * 32, name="synthetic")
    write_map(path, fingerprint, course)
    before = resident_bytes()
    drive = Session(dimension, LoopClosureSettings(), KeyframeSettings())
    fill(drive, course, dimension)
    live_map = MapRecorder.open(path, fingerprint, "benchmark")
    drive.start_mapping(live_map, by_reference=True)
    memory = (resident_bytes() - before) / COUNT
    flat = faiss.IndexFlatL2(dimension)
    for first in range(0, COUNT, BLOCK):
        flat.add(course.views(first, BLOCK))
    image = read_image(IMAGE)
    views = course.views(COUNT, 2 * TIMED + 2)
    numbers, others = itertools.count(COUNT), itertools.count(COUNT)
    disk = path.stat().st_size

    def one_more() -> None:
        number = next(numbers)
        pose = pose_of(number)
        drive.odometry.add(number * NS, [*pose[:2], 0.0], pose[2])
        drive.reference.add(number * NS, [*pose[:2], 0.0], pose[2])
        frame = CameraFrame(image, number * NS, CAMERA)
        step = drive.add_image(frame, views[number - COUNT])
        assert step.keyframe is not None

    def plainly() -> None:
        view = views[next(others) - COUNT][None]
        flat.add(view)
        flat.search(view, NEIGHBOURS)

    found = compare(f"{COUNT:,} × {dimension}", one_more, plainly, repeats=TIMED)
    saved = live_map.saved
    live_map.close()
    also = {
        "memory bytes": memory,
        "disk bytes": (path.stat().st_size - disk) / saved,
        "thumbnail bytes": len(make_thumbnail(image)),
        "closures": drive.counts.closures,
    }
    return found._replace(also={**found.also, **also})


def write_map(path: Path, fingerprint: ModelFingerprint, course: Course) -> None:
    """Write the map of the drive so far, without thumbnails."""
    with PlaceMap.create(path, fingerprint) as place_map:
        for first in range(0, COUNT, BLOCK):
            numbers = np.arange(first, first + BLOCK)
            position = np.column_stack([pose_of(numbers)[:, :2], np.zeros(BLOCK)])
            names = [""] * BLOCK
            places = Places(
                position, np.zeros(BLOCK), numbers * NS, names, names, names, [None] * BLOCK
            )
            place_map.append(places, course.views(first, BLOCK))


def fill(drive: Session, course: Course, dimension: int) -> None:
    """Keep the drive so far as if it had been driven, without the hours that this would take."""
    closer = LoopCloser(dimension)
    for first in range(0, COUNT, BLOCK):
        for number, view in enumerate(course.views(first, BLOCK), first):
            pose = pose_of(number)
            keyframe = Keyframe(number, max(number, 1) * NS, pose, 0, True, number * STEP_M)
            closer._index.add(keyframe, view)
            closer._closed_with.append(number % LAP)
    drive._cameras[CAMERA] = drive._camera(CAMERA)._replace(closer=closer)


def pose_of(number: int | NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the pose [..., 3] after some keyframes: on a circle, so that the lap is closed."""
    angle = 2.0 * math.pi * (np.asarray(number) % LAP) / LAP
    radius = LAP * STEP_M / (2.0 * math.pi)
    return np.stack(
        [radius * np.cos(angle), radius * np.sin(angle), angle + math.pi / 2.0], axis=-1
    )


def unit(vectors: Vectors) -> Vectors:
    """Return vectors [..., D] of length 1."""
    scaled: Vectors = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    return scaled


def resident_bytes() -> int:
    """Return the memory that this process takes."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
