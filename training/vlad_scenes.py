"""Scenes that the words of a local head are learned on and judged on: images, and what matches."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

# Frames of one walk, and metres, within which two images show the same place.
_FRAMES, _CAMPUS_M, _OFFICE_M = 2.5, 5.0, 1.0
_OFFICE_RAD = np.deg2rad(45.0)
# Every so many clips of the tower are enough, and take a third of the time.
_CLIPS = 3

IntArray = NDArray[np.int64]
Row = dict[str, str]


class Split(NamedTuple):
    """Queries [q] and database [d] of a scene by their rows, and which of them match [q, d]."""

    name: str
    queries: IntArray
    database: IntArray
    right: NDArray[np.bool_]


class Scene(NamedTuple):
    """Images of one site, and how they are asked of each other."""

    name: str
    images: tuple[Path, ...]
    splits: tuple[Split, ...]


def read_scenes(data: Path) -> list[Scene]:
    """Read the scenes in their folders, as they are laid out in training/README.md."""
    return [
        _corridor(data / "corridor"),
        _loop(data / "rtabmap_corridor_loop"),
        _campus(data / "campus_loop"),
        _office(data / "hololens_office"),
        _tower(data / "ie_tower"),
    ]


def _corridor(folder: Path) -> Scene:
    rows = _table(folder / "records.csv")
    frame = _numbers(rows, "frame")
    first = np.array([row["traverse"] == "ref" for row in rows])
    reference, query = np.flatnonzero(first), np.flatnonzero(~first)
    right = np.abs(frame[query][:, None] - frame[reference]) <= _FRAMES
    there = Split("corridor", query, reference, right)
    back = Split("corridor, passes swapped", reference, query, right.T)
    return Scene("corridor", _images(folder, rows), (there, back))


def _loop(folder: Path) -> Scene:
    rows = _table(folder / "records.csv")
    right = np.zeros((len(rows), len(rows)), bool)
    for number, row in enumerate(rows):
        right[number, [int(match) for match in row["gt_frames"].split()]] = True
    second = np.array([row["traverse"] == "lap2" for row in rows])
    queries, database = np.flatnonzero(second), np.flatnonzero(~second)
    split = Split("corridor loop", queries, database, right[np.ix_(queries, database)])
    return Scene("loop", _images(folder, rows), (split,))


def _campus(folder: Path) -> Scene:
    rows = _table(folder / "records.csv")
    near = _distance_m(rows, rows) <= _CAMPUS_M
    even, odd = _halves(np.arange(len(rows)))
    return Scene(
        "campus", _images(folder, rows), (Split("campus", odd, even, near[np.ix_(odd, even)]),)
    )


def _office(folder: Path) -> Scene:
    rows = _table(folder / "records.csv")
    number = {row["image"]: place for place, row in enumerate(rows)}
    yaw = _numbers(rows, "yaw_rad")
    turn = np.abs((yaw[:, None] - yaw + np.pi) % (2.0 * np.pi) - np.pi)
    near = (_distance_m(rows, rows) <= _OFFICE_M) & (turn < _OFFICE_RAD)
    splits = []
    for name in "ab":
        tables = (folder / f"split_{name}_{part}.csv" for part in ("query", "map"))
        queries, database = (
            np.array([number[row["image"]] for row in _table(table)]) for table in tables
        )
        split = Split(f"office {name}", queries, database, near[np.ix_(queries, database)])
        splits.append(split)
    return Scene("office", _images(folder, rows), tuple(splits))


def _tower(folder: Path) -> Scene:
    rows = _table(folder / "records.csv")
    kept = set(sorted({row["video"] for row in rows})[::_CLIPS])
    rows = [row for row in rows if row["video"] in kept]
    clip, frame = np.array([row["video"] for row in rows]), _numbers(rows, "frame")
    right = (clip[:, None] == clip) & (np.abs(frame[:, None] - frame) <= _FRAMES)
    even, odd = _halves(frame.astype(np.int64))
    return Scene(
        "tower", _images(folder, rows), (Split("tower", odd, even, right[np.ix_(odd, even)]),)
    )


def _table(path: Path) -> list[Row]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _images(folder: Path, rows: Sequence[Row]) -> tuple[Path, ...]:
    return tuple(folder / row["image"] for row in rows)


def _numbers(rows: Sequence[Row], column: str) -> NDArray[np.float64]:
    return np.array([float(row[column]) for row in rows])


def _distance_m(first: Sequence[Row], second: Sequence[Row]) -> NDArray[np.float64]:
    one, other = (
        np.column_stack([_numbers(rows, "x_m"), _numbers(rows, "y_m")]) for rows in (first, second)
    )
    return np.asarray(np.linalg.norm(one[:, None] - other, axis=2))


def _halves(numbers: IntArray) -> tuple[IntArray, IntArray]:
    """Return the rows of even and of odd numbers."""
    return np.flatnonzero(numbers % 2 == 0), np.flatnonzero(numbers % 2 == 1)
