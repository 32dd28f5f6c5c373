"""Mapping while driving, on made images; what is acknowledged survives anything."""

import os
import re
import resource
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from progeo_core.errors import DataError, ModelMismatchError
from progeo_core.geo import Datum
from progeo_core.localization.answer import CameraFrame
from progeo_core.map.place_map import PlaceMap
from progeo_core.map.recorder import MapRecorder
from progeo_core.slam.keyframes import KeyframeSettings
from progeo_core.slam.loop_closure import LoopClosureSettings
from progeo_core.slam.session import Session

S = 1_000_000_000
IMAGE = np.zeros((24, 32, 3), np.uint8)


@pytest.fixture
def drive() -> Session:
    return Session(8, LoopClosureSettings(), KeyframeSettings())


@pytest.fixture
def live_map(drive: Session, tmp_path: Path, fingerprint) -> MapRecorder:
    """Return the new map that the drive writes; a test closes it."""
    created = MapRecorder.open(tmp_path / "site.progeo", fingerprint, "")
    drive.start_mapping(created, by_reference=False)
    return created


def go(drive: Session, vectors, start: int = 1, x: float = 0.0) -> None:
    """Drive 1 m and send an image every second."""
    for second, vector in enumerate(vectors, start):
        drive.odometry.add(second * S, [x + second - start, 0.0, 0.1], 0.0)
        drive.add_image(CameraFrame(IMAGE, second * S, "front"), vector)


def test_keyframes_are_in_the_map_at_once(
    drive: Session, tmp_path: Path, fingerprint, unit_vectors
) -> None:
    path = tmp_path / "site.progeo"
    live_map = MapRecorder.open(path, fingerprint, "monday")
    drive.start_mapping(live_map, by_reference=False)
    go(drive, unit_vectors(10))
    with PlaceMap.open(path) as reader:
        places = reader.places()
        assert reader.thumbnail(int(places.ids[0])) is not None
    assert places.position[:, 0] == pytest.approx(np.arange(10.0))
    assert places.position[:, 2] == pytest.approx(np.full(10, 0.1))
    assert set(places.traverse) == {"monday"}
    assert places.stamp_ns.tolist() == [second * S for second in range(1, 11)]
    with pytest.raises(DataError, match=f"process {os.getpid()} is writing"):
        MapRecorder.open(path, fingerprint, "another")
    assert drive.stop_mapping() is live_map
    assert live_map.save() == 10
    assert path.with_suffix(".faiss").exists()
    live_map.close()
    MapRecorder.open(path, fingerprint, "tuesday").close()


def test_a_map_is_continued_only_from_where_it_is_known(
    drive: Session, filled_map: Path, fingerprint, unit_vectors
) -> None:
    live_map = MapRecorder.open(filled_map, fingerprint, "second")
    drive.start_mapping(live_map, by_reference=False)
    go(drive, unit_vectors(4))
    assert (drive.counts.unplaced, live_map.saved) == (4, 0)
    live_map.close()


def test_an_odometry_that_starts_anew_maps_nothing_wrong(
    drive: Session, live_map: MapRecorder, unit_vectors
) -> None:
    vectors = unit_vectors(12)
    go(drive, vectors[:6])
    go(drive, vectors[6:], start=20, x=900.0)
    assert drive.odometry.segment == 1
    assert (live_map.saved, drive.counts.unplaced) == (6, 6)
    live_map.close()


def test_time_that_starts_again_maps_nothing_twice(
    drive: Session, live_map: MapRecorder, unit_vectors
) -> None:
    vectors = unit_vectors(30)
    go(drive, vectors, start=100)
    # The same bag again: other stamps would close loops with what is there.
    go(drive, vectors, start=100)
    assert (drive.counts.keyframes, drive.counts.closures) == (60, 0)
    assert (live_map.saved, drive.counts.unplaced) == (30, 30)
    assert (live_map.fault, live_map.lost) == ("", 0)
    live_map.close()


def test_a_pose_that_is_no_number_places_nothing(
    drive: Session, live_map: MapRecorder, tmp_path: Path, unit_vectors
) -> None:
    vectors = unit_vectors(9)
    go(drive, vectors[:3])
    for second in (4, 5, 6):
        drive.odometry.add(second * S, [float("nan"), 0.0, 0.0], 0.0)
        frame = CameraFrame(IMAGE, second * S, "front")
        assert drive.add_image(frame, vectors[second - 1]).keyframe is None
    go(drive, vectors[6:], start=7, x=6.0)
    live_map.close()
    with PlaceMap.open(tmp_path / "site.progeo") as reader:
        assert reader.places().position[:, 0].tolist() == [0.0, 1.0, 2.0, 6.0, 7.0, 8.0]
    assert drive.counts.without_pose == 3


def test_fixes_place_the_keyframes(
    drive: Session, tmp_path: Path, fingerprint, unit_vectors
) -> None:
    datum = Datum(48.0, 11.0, 500.0)
    live_map = MapRecorder.open(tmp_path / "site.progeo", fingerprint, "", datum)
    drive.start_mapping(live_map, by_reference=True)
    for second, vector in enumerate(unit_vectors(5), 1):
        fix = np.array([48.0, 11.0 + second * 2e-5, 500.0])
        drive.add_fix(second * S, fix, datum)
        drive.add_image(CameraFrame(IMAGE, second * S, "front"), vector)
    drive.add_image(CameraFrame(IMAGE, 60 * S, "front"), unit_vectors(1, seed=9)[0])
    assert (live_map.saved, drive.counts.without_pose, drive.counts.unplaced) == (5, 1, 0)
    live_map.close()


def test_a_map_of_another_model_is_refused(filled_map: Path, fingerprint) -> None:
    other = fingerprint.__class__("other", 8, "x", "cd" * 32)
    with pytest.raises(ModelMismatchError, match="other"):
        MapRecorder.open(filled_map, other, "")
    MapRecorder.open(filled_map, fingerprint, "").close()


def test_a_map_in_which_nothing_was_mapped_goes_again(tmp_path: Path, fingerprint) -> None:
    path = tmp_path / "empty.progeo"
    MapRecorder.open(path, fingerprint, "").close()
    assert not path.exists()


def test_a_full_disk_pauses_mapping_and_nothing_else(
    drive: Session, live_map: MapRecorder, tmp_path: Path, unit_vectors, monkeypatch
) -> None:
    vectors = unit_vectors(30)
    go(drive, vectors[:10])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        go(drive, vectors[10:20], start=11, x=10.0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "site.progeo" in live_map.fault
    assert live_map.lost == 10
    monkeypatch.setattr("progeo_core.map.recorder._RETRY_S", 0.0)
    go(drive, vectors[20:], start=21, x=20.0)
    assert (live_map.fault, live_map.saved) == ("", 20)
    live_map.close()
    with PlaceMap.open(tmp_path / "site.progeo") as reader:
        reader.verify()
        assert len(reader) == 20


def test_no_map_is_begun_on_a_full_disk(tmp_path: Path, filled_map: Path, fingerprint) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        for path in (tmp_path / "new.progeo", filled_map):
            with pytest.raises(DataError, match=path.name):
                MapRecorder.open(path, fingerprint, "")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    # Of the map that is there, SQLite leaves its empty log.
    assert {path.stem for path in tmp_path.iterdir()} == {"filled"}
    assert not list(tmp_path.glob("*-lock"))
    MapRecorder.open(filled_map, fingerprint, "").close()


MAPPER = """
import sys
from pathlib import Path
import numpy as np
from progeo_core.slam.session import Session
from progeo_core.descriptors.fingerprint import ModelFingerprint
from progeo_core.slam.keyframes import KeyframeSettings
from progeo_core.map.recorder import MapRecorder
from progeo_core.localization.localizer import CameraFrame
from progeo_core.slam.loop_closure import LoopClosureSettings
model = ModelFingerprint("tiny+GeM", 8, "64x64 bilinear", "ab" * 32, name="tiny")
live_map = MapRecorder.open(Path(sys.argv[1]), model, sys.argv[2])
drive = Session(8, LoopClosureSettings(), KeyframeSettings())
drive.start_mapping(live_map, by_reference=True)
image, rng = np.zeros((24, 32, 3), np.uint8), np.random.default_rng()
for second in range(1, 100_000):
    drive.reference.add(second * 10**9, [float(second), 0.0, 0.0], 0.0)
    vector = rng.normal(size=8).astype(np.float32)
    frame = CameraFrame(image, second * 10**9, "front")
    drive.add_image(frame, vector / np.linalg.norm(vector))
    print(live_map.places_before + live_map.saved, flush=True)
"""


@pytest.mark.slow
def test_killing_the_mapper_loses_nothing_it_acknowledged(tmp_path: Path) -> None:
    path = tmp_path / "site.progeo"
    rng = np.random.default_rng(4)
    for attempt in range(5):
        command = [sys.executable, "-c", MAPPER, str(path), f"drive {attempt}"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for _ in range(int(rng.integers(1, 60))):
                process.stdout.readline()
            process.send_signal(signal.SIGKILL)
            acknowledged = [int(n) for n in re.findall(r"(\d+)\n", process.stdout.read())]
        with PlaceMap.open(path) as reader:
            reader.verify()
            assert len(reader) >= max(acknowledged, default=0)
    assert len(set(_traverses(path))) == 5


def _traverses(path: Path) -> tuple[str, ...]:
    with PlaceMap.open(path) as reader:
        return reader.places().traverse
