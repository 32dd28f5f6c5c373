"""Scenes that the localizer's constants are fitted to and judged on: maps, passes, what is right.

Of every site there are several scenes: both ways, driven backward, faster, with half of the map, in
poor light, and with the images of other sites, none of which is on the map.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from progeo_core.geo import FloatArray
from progeo_core.records.records import read_records

_DEMO = Path(__file__).resolve().parent.parent / "progeo_core" / "demo_data"
_RADIUS_M, _CAMPUS_RADIUS_M = 2.5, 9.0
# Frames, a metre apart, of one lap of the loop.
_LAP = 40
# Clips of the tower that are asked, every fourth: it is as long as all others together.
_CLIPS = 4
# Of other sites, every other image.
_ELSEWHERE = slice(None, None, 2)
# A traverse that is a scene's map and another's query is in other light in each.
_OTHER_LIGHT = 500
# Images of robots that are carried off in an excerpt.
_EXCERPT = 150
# Jumps of a robot that is carried off, after and before so many images.
_JUMPS, _BEFORE, _AFTER = 50, 20, 5
# It is put down farther away than this (m).
_AWAY_M, _CAMPUS_AWAY_M, _LOOP_AWAY_M = 12.5, 27.0, 7.5
# Metres between clips that have nothing to do with each other.
_APART_M = 1000.0


class Shot(NamedTuple):
    """Image file; seed: of the poor light that it is shown in, None for as it is."""

    path: Path
    seed: int | None = None


class Pass(NamedTuple):
    """Images of one pass [n], their positions [n, 3] (m), yaws [n] (rad) and clips.

    clip: [n] names; where the name changes, nothing of before counts. lead: images at the start of
    every clip that lead up to the others and are not judged.
    """

    shots: tuple[Shot, ...]
    position: FloatArray
    yaw_rad: FloatArray
    clip: tuple[str, ...]
    lead: int = 0

    def select(self, rows: slice | Sequence[int]) -> Pass:
        """Return some of the images, in the order of the rows."""
        numbers = np.arange(len(self.shots))[rows]
        return self._replace(
            shots=tuple(self.shots[number] for number in numbers),
            position=self.position[numbers],
            yaw_rad=self.yaw_rad[numbers],
            clip=tuple(self.clip[number] for number in numbers),
        )

    @property
    def judged(self) -> NDArray[np.bool_]:
        """Return which images [n] are judged."""
        clip = self.clip
        starts = [row for row, name in enumerate(clip) if not row or name != clip[row - 1]]
        rows = np.arange(len(clip))
        last_start = np.searchsorted(starts, rows, side="right") - 1
        judged: NDArray[np.bool_] = rows - np.array(starts)[last_start] >= self.lead
        return judged

    def carried_off(self, away_m: float) -> Pass:
        """Return clips in which a robot drives along, is carried off and put down elsewhere."""
        rng, count = np.random.default_rng(0), len(self.shots)
        rows: list[int] = []
        while len(rows) < _JUMPS * (_BEFORE + _AFTER):
            start, end = int(rng.integers(_BEFORE, count)), int(rng.integers(0, count - _AFTER))
            if np.linalg.norm(self.position[start] - self.position[end]) > away_m:
                rows += [*range(start - _BEFORE, start), *range(end, end + _AFTER)]
        names = tuple(str(number // (_BEFORE + _AFTER)) for number in range(len(rows)))
        return self.select(rows)._replace(clip=names, lead=_BEFORE)

    def in_poor_light(self, first_seed: int = 0) -> Pass:
        """Return the same images in poor light."""
        dark = (Shot(shot.path, first_seed + row) for row, shot in enumerate(self.shots))
        return self._replace(shots=tuple(dark))


class Scene(NamedTuple):
    """Map, images of another pass of its site, and passes that are not on it.

    radius_m: what counts as right.
    """

    name: str
    site: str
    database: Pass
    queries: Pass | None
    elsewhere: tuple[Pass, ...]
    radius_m: float


def given_scenes(given: Sequence[Sequence[str]]) -> list[Scene]:
    """Read scenes of a name, two tables and a radius (m); each is a site of its own."""
    scenes = []
    for name, database, queries, radius_m in given:
        rows, asked = read_pass(Path(database)), read_pass(Path(queries))
        if database == queries:
            rows, asked = rows.select(slice(0, None, 2)), asked.select(slice(1, None, 2))
        scenes.append(Scene(name, name, rows, asked, (), float(radius_m)))
    return _with_each_other(scenes)


def read_scenes(data: Path | None) -> list[Scene]:
    """Read the scenes that ship, and with a folder as in training/README.md those in it."""
    first = read_pass(_DEMO / "corridor" / "ref.csv")
    second = read_pass(_DEMO / "corridor" / "query.csv")
    campus = read_pass(_DEMO / "campus_loop" / "records.csv")
    scenes = _corridor(first, second) + _campus(campus)
    others = {"corridor": second, "campus": campus}
    if data is not None:
        loop = _read_loop(data / "rtabmap_corridor_loop")
        scenes += _loop(loop) + _office(data / "hololens_office") + [_tower(data / "ie_tower")]
        others["loop"] = loop
    named = {scene.name: scene for scene in scenes}
    for site in others:
        away = tuple(one.select(_ELSEWHERE) for name, one in others.items() if name != site)
        whole = named[site]
        scenes.append(whole._replace(name=f"{site}, others", queries=None, elsewhere=away))
    return scenes


def excerpt(scene: Scene) -> Scene:
    """Return a scene on which constants are tried: all of it, but some of many jumps."""
    return scene._replace(
        queries=None if scene.queries is None else _middle(scene.queries),
        elsewhere=tuple(_middle(one) for one in scene.elsewhere),
    )


def read_pass(table: Path) -> Pass:
    """Read a records table as one pass."""
    records = read_records(table)
    local = records.to_local(records.default_datum())
    shots = tuple(Shot(Path(image)) for image in local.images)
    return Pass(shots, local.position, local.yaw_rad, ("",) * len(shots))


def _with_each_other(scenes: Sequence[Scene]) -> list[Scene]:
    """Return scenes with the others' passes as images off the map."""
    away = [(scene.name, scene.queries) for scene in scenes if scene.queries is not None]
    return [
        scene._replace(elsewhere=tuple(one for name, one in away if name != scene.name))
        for scene in scenes
    ]


def _corridor(first: Pass, second: Pass) -> list[Scene]:
    dark, other_dark = second.in_poor_light(), first.in_poor_light(_OTHER_LIGHT)
    halves = first.select(slice(0, 56)), second.select(slice(55, None))

    def scene(name: str, database: Pass, queries: Pass) -> Scene:
        return Scene(f"corridor{name}", "corridor", database, queries, (), _RADIUS_M)

    return [
        scene("", first, second),
        scene(", swapped", second, first),
        scene(", backward", first, second.select(slice(None, None, -1))),
        scene(", twice as fast", first, second.select(slice(0, None, 2))),
        scene(", first half", halves[0], second),
        scene(", second half", halves[1], first),
        scene(", dark", first, dark),
        scene(", swapped, dark", second, other_dark),
        scene(", first half, dark", halves[0], dark),
        scene(", carried off", first, second.carried_off(_AWAY_M)),
        scene(", swapped, carried off", second, first.carried_off(_AWAY_M)),
        scene(", dark, carried off", first, dark.carried_off(_AWAY_M)),
    ]


def _campus(whole: Pass) -> list[Scene]:
    rows, asked = whole.select(slice(0, None, 2)), whole.select(slice(1, None, 2))
    dark = whole.in_poor_light().select(slice(1, None, 2))

    def scene(name: str, database: Pass, queries: Pass) -> Scene:
        return Scene(f"campus{name}", "campus", database, queries, (), _CAMPUS_RADIUS_M)

    half = rows.select(slice(0, 18))
    return [
        scene("", rows, asked),
        scene(", half", half, asked),
        scene(", dark", rows, dark),
        scene(", carried off", rows, asked.carried_off(_CAMPUS_AWAY_M)),
        scene(", dark, carried off", rows, dark.carried_off(_CAMPUS_AWAY_M)),
    ]


def _read_loop(folder: Path) -> Pass:
    rows = _table(folder / "records.csv")
    angle = 2.0 * math.pi * (np.arange(len(rows)) % _LAP) / _LAP
    ring = np.stack([np.cos(angle), np.sin(angle), 0.0 * angle], axis=-1) * _LAP / (2.0 * math.pi)
    shots = tuple(Shot(folder / row["image"]) for row in rows)
    return Pass(shots, ring, np.full(len(rows), np.nan), ("",) * len(rows))


def _loop(whole: Pass) -> list[Scene]:
    first, second = whole.select(slice(0, _LAP)), whole.select(slice(_LAP, None))
    dark = whole.in_poor_light().select(slice(_LAP, None))

    def scene(name: str, database: Pass, queries: Pass) -> Scene:
        return Scene(f"loop{name}", "loop", database, queries, (), _RADIUS_M)

    return [
        scene("", first, second),
        scene(", swapped", second, first),
        scene(", half", first.select(slice(0, _LAP // 2)), second),
        scene(", dark", first, dark),
        scene(", carried off", first, second.carried_off(_LOOP_AWAY_M)),
        scene(", swapped, carried off", second, first.carried_off(_LOOP_AWAY_M)),
        scene(", dark, carried off", first, dark.carried_off(_LOOP_AWAY_M)),
    ]


def _office(folder: Path) -> list[Scene]:
    scenes = []
    for name in "ab":
        database = read_pass(folder / f"split_{name}_map.csv")
        queries = read_pass(folder / f"split_{name}_query.csv")
        for light, asked in (("", queries), (", dark", queries.in_poor_light())):
            label = f"office {name}{light}"
            scenes.append(Scene(label, "office", database, asked, (), _RADIUS_M))
    return scenes


def _tower(folder: Path) -> Scene:
    """Return every other floor as the map, by its even frames; the other floors are not on it."""
    rows = _table(folder / "records.csv")
    mapped = set(sorted({row["floor"] for row in rows})[::2])
    clips = {clip: number for number, clip in enumerate(sorted({row["video"] for row in rows}))}
    frame = np.array([float(row["frame"]) for row in rows])
    start = np.array([_APART_M * clips[row["video"]] for row in rows])
    whole = Pass(
        tuple(Shot(folder / row["image"]) for row in rows),
        np.stack([start, frame, np.zeros(len(rows))], axis=-1),
        np.full(len(rows), np.nan),
        tuple(row["video"] for row in rows),
    )
    on_map = np.array([row["floor"] in mapped for row in rows])
    database = whole.select(np.flatnonzero(on_map & (frame % 2 == 0)).tolist())
    queries = whole.select(np.flatnonzero(on_map & (frame % 2 == 1)).tolist())
    other = whole.select(np.flatnonzero(~on_map).tolist())
    return Scene("tower", "tower", database, _every(queries), (_every(other),), _RADIUS_M)


def _every(clips: Pass) -> Pass:
    """Return every fourth clip."""
    kept = set(sorted(set(clips.clip))[::_CLIPS])
    return clips.select([row for row, clip in enumerate(clips.clip) if clip in kept])


def _middle(whole: Pass) -> Pass:
    if not whole.lead:
        return whole
    first = max(0, (len(whole.shots) - _EXCERPT) // 2)
    return whole.select(slice(first, first + _EXCERPT))


def _table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
