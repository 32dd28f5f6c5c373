"""Kills -9 of programs that change a map, at random moments; what they acknowledged must be there.

`python -m test.map_kills CASE FOLDER` is such a program: it says what it has done, line by line,
and runs until it is killed. The next start finds the map as the kill left it.
"""

from __future__ import annotations

import itertools
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from progeo_core.descriptors.fingerprint import ModelFingerprint
from progeo_core.map.confidence_calibration import Calibration, ConfidenceCurve
from progeo_core.map.merge import merge_maps
from progeo_core.map.place_features import PlaceView
from progeo_core.map.place_index import PlaceIndex
from progeo_core.map.place_map import PlaceMap, Places
from progeo_core.map.prune import prune_map
from progeo_core.map.recorder import MapRecorder, NewPlace
from progeo_core.poses.pose_buffer import BufferedPose
from test.place_views import make_view

MODEL = ModelFingerprint("killed", 256, "none", "00" * 32)
SITE, MERGED = "site.progeo", "merged.progeo"
# A program is killed this long (s) after its first word, at the latest.
LIFE_S = 0.5
_BATCH = 40


class Case(NamedTuple):
    """What is killed: `run` until then, `prepare` before the first time.

    lost: how many of the acknowledged numbers are not in the folder as they should be.
    """

    run: Callable[[Path], None]
    lost: Callable[[Path, list[int]], int]
    prepare: Callable[[Path], None]
    files: tuple[str, ...]


class Kill(NamedTuple):
    """What a program had acknowledged, how much of that is lost, and what the next start left."""

    acknowledged: int
    lost: int
    leftovers: tuple[str, ...]


def kill_once(name: str, folder: Path, rng: np.random.Generator) -> Kill:
    """Start a program, kill it, look at the map, and let the next one start and end well."""
    case = CASES[name]
    if not any(folder.iterdir()):
        case.prepare(folder)
    command = [sys.executable, "-m", "test.map_kills", name, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = [process.stdout.readline()]
        time.sleep(rng.uniform(0.0, LIFE_S))
        process.send_signal(signal.SIGKILL)
        said += process.stdout.readlines()
    # The last line may be cut; what was printed whole was promised.
    acknowledged = [int(line) for line in said if line.endswith("\n")]
    assert acknowledged, f"{name} ended before it did anything"
    lost = case.lost(folder, acknowledged)
    _start_again(name, folder)
    left = {entry.name for entry in folder.iterdir()} - set(case.files)
    return Kill(len(acknowledged), lost, tuple(sorted(left)))


def _start_again(name: str, folder: Path) -> None:
    if name == "merge":
        (folder / MERGED).unlink(missing_ok=True)
        merge_maps([folder / "a.progeo", folder / "b.progeo"], folder / MERGED)
    else:
        with PlaceMap.open(folder / SITE, writable=True) as place_map:
            PlaceIndex.open(place_map)
            place_map.verify()


def _places(first: int, count: int, spot: float = 0.0) -> tuple[Places, np.ndarray]:
    """Return places that their numbers, from `first`, tell everything about."""
    numbers = np.arange(first, first + count)
    position = np.stack([10.0 * numbers, numbers * 0.0 + spot, numbers * 0.0], axis=-1)
    names = [str(number) for number in numbers]
    jpegs = [b"x" * (number % 997 + 1) for number in numbers.tolist()]
    unknown = np.full(count, np.nan)
    views = [_view(number) for number in numbers.tolist()]
    places = Places(position, unknown, numbers * 10, names, names, names, jpegs, views)
    return places._replace(camera=[""] * count), _descriptors(numbers)


def _view(number: int) -> PlaceView | None:
    """Return the view that a place's number tells; every third has none."""
    return make_view(np.array([10.0 * number, 0.0, 0.0]), number, 5) if number % 3 else None


def _told_by(view: PlaceView | None) -> int | None:
    """Return the number that a view was made from, after comparing all of it."""
    if view is None:
        return None
    assert view.pose is not None
    number = round(view.pose.position[0] / 10.0)
    made = _view(number)
    assert made is not None
    assert view.features is not None
    assert made.features is not None
    np.testing.assert_array_equal(view.features.points, made.features.points)
    np.testing.assert_array_equal(view.features.descriptors, made.features.descriptors)
    # Kept as float32 from the place, which may be far from another place's camera.
    wanted = made.features.landmarks
    np.testing.assert_allclose(view.features.landmarks, wanted, rtol=1e-6, atol=1e-4)
    return number


def _descriptors(numbers: np.ndarray) -> np.ndarray:
    vectors = np.stack([np.random.default_rng(number).normal(size=256) for number in numbers])
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    # As a map keeps them.
    return np.asarray(unit.astype(np.float16).astype(np.float32))


def _new_map(path: Path, count: int) -> None:
    with PlaceMap.create(path, MODEL) as place_map:
        if count:
            place_map.append(*_places(1, count))


def _say(number: int) -> None:
    print(number, flush=True)


def _record(folder: Path) -> None:
    with MapRecorder.open(folder / SITE, MODEL, "killed") as recording:
        for number in itertools.count(recording.save() + 1):
            pose = BufferedPose(np.array([10.0 * number, 0.0, 0.0]), 0.0, 0)
            jpeg = b"x" * (number % 997 + 1)
            descriptor = _descriptors(np.array([number]))[0]
            place = NewPlace(jpeg, descriptor, pose, 10 * number, "", _view(number))
            if recording.add(place):
                _say(number)


def _append(folder: Path) -> None:
    with PlaceMap.open(folder / SITE, writable=True) as place_map:
        while True:
            ids = place_map.append(*_places(len(place_map) + 1, _BATCH))
            for place_id in ids.tolist():
                _say(place_id)


def _index(folder: Path) -> None:
    with PlaceMap.open(folder / SITE, writable=True) as place_map:
        while True:
            ids = place_map.append(*_places(len(place_map) + 1, _BATCH))
            PlaceIndex.open(place_map)
            for place_id in ids.tolist():
                _say(place_id)


def _lost_places(folder: Path, acknowledged: list[int]) -> int:
    with PlaceMap.open(folder / SITE) as place_map:
        place_map.verify()
        table = place_map.places()
        held = set(table.ids.tolist())
        assert held == set(range(1, len(held) + 1))
        np.testing.assert_array_equal(table.position[:, 0], 10.0 * table.ids)
        some = table.ids[:: max(1, len(table.ids) // 50)]
        wanted = _descriptors(some).astype(np.float16)
        np.testing.assert_array_equal(place_map.descriptors(some), wanted)
        assert all(len(place_map.thumbnail(one) or b"") == one % 997 + 1 for one in some.tolist())
        told = [_told_by(view) for view in place_map.views(some)]
        assert told == [number if number % 3 else None for number in some.tolist()]
        index = PlaceIndex.open(place_map)
        assert index.search(wanted, 1).place_ids[:, 0].tolist() == some.tolist()
        assert len(index) == len(place_map)
    return len(set(acknowledged) - held)


def _prune(folder: Path) -> None:
    """Append pairs of a place and a newer one in its stead; drop the older ones; say the newest."""
    with PlaceMap.open(folder / SITE, writable=True) as place_map:
        while True:
            last = int(place_map.ids()[-1])
            older, vectors = _places(last + 1, _BATCH, 0.5)
            newer = place_map.append(older, vectors)[-1] + np.arange(1, _BATCH + 1)
            place_map.append(older._replace(image=[str(one) for one in newer]), vectors)
            prune_map(place_map)
            PlaceIndex.open(place_map)
            _say(int(newer[-1]))


def _lost_pruned(folder: Path, acknowledged: list[int]) -> int:
    with PlaceMap.open(folder / SITE) as place_map:
        place_map.verify()
        table = place_map.places()
    held = set(table.ids.tolist())
    lost = 0
    for last in acknowledged:
        newer = set(range(last - _BATCH + 1, last + 1))
        older = set(range(last - 2 * _BATCH + 1, last - _BATCH + 1))
        lost += not newer <= held or bool(older & held)
    return lost


def _calibrate(folder: Path) -> None:
    with PlaceMap.open(folder / SITE, writable=True) as place_map:
        before = place_map.calibration() or Calibration(ConfidenceCurve(), ConfidenceCurve())
        for number in itertools.count(int(before.single.offset) + 1):
            curve = ConfidenceCurve(float(number), float(number))
            place_map.set_calibration(Calibration(curve, curve))
            _say(number)


def _lost_calibration(folder: Path, acknowledged: list[int]) -> int:
    with PlaceMap.open(folder / SITE) as place_map:
        place_map.verify()
        calibration = place_map.calibration()
    assert calibration is not None
    assert len({*calibration.single, *calibration.sequence}) == 1
    return int(calibration.single.offset < acknowledged[-1])


def _set_views(folder: Path) -> None:
    """Give all places the view of one number, again and again; say the number."""
    with PlaceMap.open(folder / SITE, writable=True) as place_map:
        ids = place_map.ids()
        before = _told_by(place_map.views(ids[:1])[0]) or 1
        for number in itertools.count(before + 3, 3):
            place_map.set_views(ids, [_view(number)] * len(ids))
            _say(number)


def _lost_views(folder: Path, acknowledged: list[int]) -> int:
    with PlaceMap.open(folder / SITE) as place_map:
        place_map.verify()
        (told,) = {_told_by(view) for view in place_map.views(place_map.ids())}
    assert told is not None
    return int(told < acknowledged[-1])


def _merge(folder: Path) -> None:
    for number in itertools.count(1):
        (folder / MERGED).unlink(missing_ok=True)
        merge_maps([folder / "a.progeo", folder / "b.progeo"], folder / MERGED)
        _say(number)


def _lost_merged(folder: Path, acknowledged: list[int]) -> int:
    for name, places in (("a", 300), ("b", 200), ("merged", 500)):
        path = folder / f"{name}.progeo"
        # The program removes its last result before it makes the next.
        if name != "merged" or path.exists():
            with PlaceMap.open(path) as place_map:
                place_map.verify()
                assert len(place_map) == places
    return 0


def _prepare_site(folder: Path) -> None:
    _new_map(folder / SITE, 1)


def _prepare_views(folder: Path) -> None:
    _new_map(folder / SITE, 100)


def _prepare_merge(folder: Path) -> None:
    _new_map(folder / "a.progeo", 300)
    _new_map(folder / "b.progeo", 200)


_SITE_FILES = (SITE, "site.faiss")
CASES = {
    "record": Case(_record, _lost_places, _prepare_site, _SITE_FILES),
    "append": Case(_append, _lost_places, _prepare_site, _SITE_FILES),
    "index": Case(_index, _lost_places, _prepare_site, _SITE_FILES),
    "prune": Case(_prune, _lost_pruned, _prepare_site, _SITE_FILES),
    "calibrate": Case(_calibrate, _lost_calibration, _prepare_site, _SITE_FILES),
    "views": Case(_set_views, _lost_views, _prepare_views, _SITE_FILES),
    "merge": Case(_merge, _lost_merged, _prepare_merge, ("a.progeo", "b.progeo", MERGED)),
}

if __name__ == "__main__":
    CASES[sys.argv[1]].run(Path(sys.argv[2]))
