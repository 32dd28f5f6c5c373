import contextlib
import os
import random
import resource
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import hypothesis.extra.numpy as arrays
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from progeo_core.descriptors.fingerprint import ModelFingerprint
from progeo_core.errors import DataError, ModelMismatchError, UsageError
from progeo_core.geo import Datum
from progeo_core.map.confidence_calibration import Calibration
from progeo_core.map.place_map import PlaceMap, Places

NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
METRES = st.floats(-1e7, 1e7)

# Appends forever, and says after each append which ids are safe.
WRITER = """
import sys
from pathlib import Path
import numpy as np
from progeo_core.map.place_map import PlaceMap, Places
place_map = PlaceMap.open(Path(sys.argv[1]), writable=True)
random = np.random.default_rng()
print("open", flush=True)
while True:
    n = int(random.integers(1, 6))
    mark = random.integers(0, 1000, n).astype(float)
    places = Places(
        np.stack([mark, -mark, mark + 0.5], axis=-1), np.zeros(n), np.zeros(n, np.int64),
        ["front"] * n, ["drive"] * n, [str(m) for m in mark], [b"x" * int(m * 20) for m in mark],
    )
    ids = place_map.append(places, np.repeat(mark[:, None], 8, axis=1))
    print(" ".join(f"{i}:{m}" for i, m in zip(ids, mark)), flush=True)
"""


@pytest.fixture
def writer_process():
    """Return a function that starts a process that appends to a map without end."""
    running: list[Any] = []

    def start(path):
        process: Any = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True
        )
        running.append(process)
        assert process.stdout.readline() == "open\n"
        return process

    yield start
    for process in running:
        killed(process)
        process.stdout.close()


def killed(process):
    """Kill a process at once and return the lines that it had still printed."""
    process.send_signal(signal.SIGKILL)
    lines = process.stdout.readlines()
    process.wait()
    return lines


def same_columns(table, places):
    np.testing.assert_array_equal(table.position, places.position)
    np.testing.assert_array_equal(table.yaw_rad, places.yaw_rad)
    np.testing.assert_array_equal(table.stamp_ns, places.stamp_ns)
    assert table.camera == tuple(places.camera)
    assert table.traverse == tuple(places.traverse)
    assert table.image == tuple(places.image)


@st.composite
def appended(draw):
    count = draw(st.integers(0, 7))
    names = st.lists(NAMES, min_size=count, max_size=count)
    places = Places(
        position=draw(arrays.arrays(np.float64, (count, 3), elements=METRES)),
        yaw_rad=draw(
            arrays.arrays(np.float64, count, elements=st.floats(-3.2, 3.2) | st.just(np.nan))
        ),
        stamp_ns=draw(arrays.arrays(np.int64, count, elements=st.integers(0, 2**63 - 1))),
        camera=draw(names),
        traverse=draw(names),
        image=draw(names),
        thumbnail=draw(
            st.lists(st.none() | st.binary(max_size=40), min_size=count, max_size=count)
        ),
    )
    vectors = draw(arrays.arrays(np.float16, (count, 8), elements=st.floats(-100, 100, width=16)))
    return places, vectors


@settings(max_examples=30)
@given(appended(), st.none() | st.just(Datum(-33.5, 151.25, 12.0)))
def test_what_is_appended_is_read_back(batch, datum):
    places, vectors = batch
    fingerprint = ModelFingerprint("tiny", 8, "64x64", "00", normalized=False, name="t")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.progeo")
        with PlaceMap.create(path, fingerprint, datum) as written:
            ids = written.append(places, vectors)
        with PlaceMap.open(path) as place_map:
            table = place_map.places()
            np.testing.assert_array_equal(table.ids, ids)
            same_columns(table, places)
            np.testing.assert_array_equal(place_map.descriptors(), vectors)
            assert [place_map.thumbnail(i) for i in ids] == list(places.thumbnail)
            assert place_map.fingerprint == fingerprint
            assert place_map.fingerprint.name == "t"
            assert place_map.datum == datum
            assert len(place_map) == len(ids)
        assert os.listdir(folder) == ["a.progeo"]


def test_descriptors_by_id_and_in_blocks(filled_map, unit_vectors):
    vectors = unit_vectors(5).astype(np.float16)
    with PlaceMap.open(filled_map) as place_map:
        np.testing.assert_array_equal(place_map.descriptors([4, 1, 4]), vectors[[3, 0, 3]])
        assert place_map.descriptors([]).shape == (0, 8)
        blocks = list(place_map.descriptor_blocks(2))
        assert [ids.tolist() for ids, _ in blocks] == [[1, 2], [3, 4], [5]]
        np.testing.assert_array_equal(np.concatenate([block for _, block in blocks]), vectors)
        with pytest.raises(DataError, match="place 6 is not in the map"):
            place_map.descriptors([1, 6])


def test_ids_are_never_given_again(filled_map, make_places, unit_vectors):
    with PlaceMap.open(filled_map, writable=True) as place_map:
        place_map.delete([5])
        assert place_map.append(make_places(1), unit_vectors(1)).tolist() == [6]
        with pytest.raises(DataError, match="place 5 is not in the map"):
            place_map.thumbnail(5)


def test_poses_are_read_once_for_every_content(filled_map, make_places, unit_vectors):
    with PlaceMap.open(filled_map, writable=True) as place_map:
        poses = place_map.poses()
        assert place_map.poses() is poses
        assert place_map.ids() is poses.ids
        with pytest.raises(ValueError, match="read-only"):
            poses.position[0] = 0.0
        place_map.append(make_places(2), unit_vectors(2))
        assert place_map.poses().ids.tolist() == place_map.ids().tolist() == [1, 2, 3, 4, 5, 6, 7]
        place_map.delete([2])
        assert place_map.places().ids.tolist() == place_map.ids().tolist() == [1, 3, 4, 5, 6, 7]


def test_verification_reads_the_poses_again(filled_map):
    with PlaceMap.open(filled_map, writable=True) as place_map:
        place_map.poses()
        with contextlib.closing(sqlite3.connect(filled_map)) as other:
            other.execute("UPDATE place SET x_m = x_m + 1 WHERE id = 3")
            other.commit()
        with pytest.raises(DataError, match="place 3: its pose does not match"):
            place_map.verify()


def test_compacting_gives_room_back(tmp_path, fingerprint, make_places, unit_vectors):
    path = tmp_path / "a.progeo"
    with PlaceMap.create(path, fingerprint) as place_map:
        pictures = make_places(200)._replace(thumbnail=[b"x" * 10_000] * 200)
        ids = place_map.append(pictures, unit_vectors(200))
    full = path.stat().st_size
    with PlaceMap.open(path, writable=True) as place_map:
        place_map.delete(ids[10:])
        place_map.compact()
        assert len(place_map) == 10
    assert path.stat().st_size < full / 10


def test_revision_changes_with_content_only(filled_map, make_places, unit_vectors):
    with PlaceMap.open(filled_map, writable=True) as place_map:
        seen = [place_map.revision]
        ids = place_map.append(make_places(1), unit_vectors(1))
        seen.append(place_map.revision)
        place_map.delete(ids)
        seen.append(place_map.revision)
        with pytest.raises(DataError):
            place_map.append(make_places(1), np.full((1, 8), np.nan))
        place_map.compact()
        assert place_map.revision == seen[-1]
    assert len(set(seen)) == 3
    with PlaceMap.open(filled_map) as place_map:
        assert place_map.revision == seen[-1]


def test_reader_keeps_the_state_it_opened(filled_map, make_places, unit_vectors):
    with PlaceMap.open(filled_map, writable=True) as writer, PlaceMap.open(filled_map) as reader:
        writer.append(make_places(3), unit_vectors(3))
        assert len(writer) == 8
        assert len(reader) == len(reader.places().ids) == len(reader.descriptors()) == 5
        assert reader.revision != writer.revision
        with PlaceMap.open(filled_map) as later:
            assert len(later) == 8
            assert later.revision == writer.revision


def test_reader_does_not_write(filled_map, make_places, unit_vectors):
    with PlaceMap.open(filled_map) as place_map:
        for change in (
            lambda: place_map.append(make_places(1), unit_vectors(1)),
            lambda: place_map.delete([1]),
            place_map.compact,
        ):
            with pytest.raises(DataError, match="open read-only; open it for writing"):
                change()


def test_threads_share_a_map(filled_map, make_places, unit_vectors):
    errors: list[Exception] = []

    def work(seed):
        try:
            for _ in range(10):
                ids = place_map.append(make_places(2), unit_vectors(2, seed))
                np.testing.assert_array_equal(
                    place_map.descriptors(ids), unit_vectors(2, seed).astype(np.float16)
                )
                place_map.places()
        except Exception as error:
            errors.append(error)

    with PlaceMap.open(filled_map, writable=True) as place_map:
        threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not errors
        assert len(place_map) == 5 + 4 * 10 * 2


@pytest.mark.slow
def test_kill_loses_no_acknowledged_place(tmp_path, fingerprint, writer_process):
    path = tmp_path / "a.progeo"
    PlaceMap.create(path, fingerprint).close()
    moments = random.Random(7)
    acknowledged: dict[str, str] = {}
    for _ in range(10):
        process = writer_process(path)
        for _ in range(moments.randrange(1, 120)):
            line = process.stdout.readline()
            acknowledged.update(word.split(":") for word in line.split())
        for line in killed(process):
            # The last line may be cut; what was printed whole was promised.
            if line.endswith("\n"):
                acknowledged.update(word.split(":") for word in line.split())
        with PlaceMap.open(path) as place_map:
            ids = [int(i) for i in acknowledged]
            marks = np.array([float(mark) for mark in acknowledged.values()])
            table = place_map.places()
            rows = table.poses.rows_of(ids)
            np.testing.assert_array_equal(table.position[rows, 0], marks)
            np.testing.assert_array_equal(place_map.descriptors(ids)[:, 3], marks)
            assert len(place_map.thumbnail(ids[-1]) or b"") == int(marks[-1] * 20)
            place_map.verify()
    assert len(acknowledged) > 100


def test_second_writer_is_refused_until_the_first_is_gone(filled_map, writer_process):
    process = writer_process(filled_map)
    refusal = f"process {process.pid} is writing this map; stop it or wait"
    with pytest.raises(DataError, match=refusal):
        PlaceMap.open(filled_map, writable=True)
    with PlaceMap.open(filled_map) as reader:
        assert len(reader) >= 5
    killed(process)
    with PlaceMap.open(filled_map, writable=True) as place_map:
        link = filled_map.with_name("link.progeo")
        link.symlink_to(filled_map)
        with pytest.raises(DataError, match=f"process {os.getpid()} is writing"):
            PlaceMap.open(link, writable=True)
        assert len(place_map) >= 5
    PlaceMap.open(link, writable=True).close()
    assert not filled_map.with_name("filled.progeo-lock").exists()


def test_read_only_folder(filled_map, as_reader):
    as_reader(filled_map.parent)
    with PlaceMap.open(filled_map) as place_map:
        assert len(place_map) == 5
        assert place_map.places().image[4] == "4.jpg"
    with pytest.raises(DataError, match=r"cannot be written.*open it read-only"):
        PlaceMap.open(filled_map, writable=True)


def test_read_only_file(filled_map, as_reader):
    as_reader(filled_map)
    with PlaceMap.open(filled_map) as place_map:
        assert len(place_map.descriptors()) == 5
    with pytest.raises(DataError, match=r"cannot be written.*open it read-only"):
        PlaceMap.open(filled_map, writable=True)
    assert not filled_map.with_name("filled.progeo-lock").exists()


def test_read_only_folder_after_a_crash(tmp_path, filled_map, writer_process, as_reader):
    process = writer_process(filled_map)
    process.stdout.readline()
    killed(process)
    assert filled_map.with_name("filled.progeo-wal").stat().st_size > 0
    filled_map.with_name("filled.progeo-shm").unlink()
    as_reader(tmp_path)
    with pytest.raises(DataError, match=r"its writer did not finish.*filled.progeo-wal"):
        PlaceMap.open(filled_map)


def test_full_disk_undoes_the_append_and_nothing_else(filled_map, make_places, unit_vectors):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    big = make_places(50)._replace(thumbnail=[os.urandom(10_000)] * 50)
    with PlaceMap.open(filled_map, writable=True) as place_map:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
        try:
            with pytest.raises(DataError, match="what was committed is safe"):
                place_map.append(big, unit_vectors(50))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert len(place_map) == 5
        assert place_map.append(make_places(1), unit_vectors(1)).tolist() == [6]
        place_map.verify()


def test_model_must_match(filled_map, fingerprint):
    other = ModelFingerprint("large+GeM", 8, "64x64 bilinear", "cd" * 32, name="large")
    renamed = ModelFingerprint("tiny+GeM", 8, "64x64 bilinear", "ab" * 32, name="other name")
    with PlaceMap.open(filled_map) as place_map:
        place_map.require_model(renamed)
        with pytest.raises(ModelMismatchError, match=r"made with tiny .* in use is large "):
            place_map.require_model(other)


def test_bad_appends_are_refused(filled_map, make_places, unit_vectors):
    nan_position = make_places(2)
    nan_position.position[1, 0] = np.nan
    short = make_places(2)._replace(camera=["front"])
    cases = [
        (nan_position, unit_vectors(2), "the position of 1.jpg is not finite"),
        (
            make_places(2)._replace(yaw_rad=np.array([0.0, np.inf])),
            unit_vectors(2),
            "the yaw of 1.jpg is not finite",
        ),
        (make_places(2), np.full((2, 8), np.inf), "the descriptor of 0.jpg is not finite"),
        (make_places(2), np.full((2, 8), 1e6), "the descriptor of 0.jpg is not finite"),
        (
            make_places(2)._replace(position=np.full((2, 3), 1e300)),
            unit_vectors(2),
            "the position of 0.jpg is not finite or too large",
        ),
        (make_places(2), np.zeros((2, 9)), r"shape \[2, 9\].* gives 8 values each"),
        (make_places(2), np.zeros((3, 8)), "columns of unequal length"),
        (short, unit_vectors(2), "columns of unequal length"),
    ]
    with PlaceMap.open(filled_map, writable=True) as place_map:
        for places, vectors, message in cases:
            with pytest.raises(DataError, match=message):
                place_map.append(places, vectors)
        assert len(place_map) == 5


def test_damaged_page(tmp_path, fingerprint, make_places, unit_vectors):
    path = tmp_path / "a.progeo"
    with PlaceMap.create(path, fingerprint) as place_map:
        place_map.append(make_places(2000), unit_vectors(2000))
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        file.write(b"\xff" * 8192 * 4)
    with PlaceMap.open(path) as place_map, pytest.raises(DataError, match="the map is damaged"):
        place_map.verify()


def test_damaged_descriptor_and_fingerprint(filled_map, edited):
    edited(filled_map, "UPDATE descriptor SET float16 = x'0000' WHERE place_id = 3")
    values = r"damaged.*place 3: its descriptor has not 8 values"
    with PlaceMap.open(filled_map) as place_map, pytest.raises(DataError, match=values):
        place_map.descriptors()
    edited(filled_map, "DELETE FROM descriptor WHERE place_id = 3")
    lacking = "it holds 4 descriptors of 5 places"
    with PlaceMap.open(filled_map) as place_map, pytest.raises(DataError, match=lacking):
        place_map.verify()
    edited(filled_map, "UPDATE map SET fingerprint = 'nothing'")
    with pytest.raises(DataError, match="the map is damaged"):
        PlaceMap.open(filled_map)


def test_create_refuses_what_it_would_destroy(tmp_path, filled_map, fingerprint):
    with pytest.raises(DataError, match="exists already"):
        PlaceMap.create(filled_map, fingerprint)
    with PlaceMap.open(filled_map) as place_map:
        assert len(place_map) == 5
    for act in (PlaceMap.open, lambda path: PlaceMap.create(path, fingerprint)):
        with pytest.raises(UsageError, match=r"must be called NAME\.progeo"):
            act(tmp_path / "map.faiss")
    with pytest.raises(DataError, match="No such file or directory"):
        PlaceMap.create(tmp_path / "none" / "a.progeo", fingerprint)


def test_new_map_ignores_the_log_of_a_deleted_one(filled_map, fingerprint, writer_process):
    process = writer_process(filled_map)
    process.stdout.readline()
    killed(process)
    filled_map.unlink()
    PlaceMap.create(filled_map, fingerprint).close()
    with PlaceMap.open(filled_map) as place_map:
        assert len(place_map) == 0
        place_map.verify()


def test_a_map_of_two_names_is_not_written(filled_map, make_places, unit_vectors):
    link = filled_map.with_name("link.progeo")
    with PlaceMap.open(filled_map, writable=True) as writer:
        os.link(filled_map, link)
        with pytest.raises(DataError, match=r"link\.progeo: the map has 2 names .* copy it"):
            PlaceMap.open(link, writable=True)
        writer.append(make_places(1), unit_vectors(1))
    with pytest.raises(DataError, match="has 2 names"):
        PlaceMap.open(filled_map, writable=True)
    link.unlink()
    with PlaceMap.open(str(filled_map), writable=True) as writer:
        assert len(writer) == 6
        writer.verify()


@pytest.mark.parametrize("suffix", ["", "-wal"])
def test_nothing_counts_as_saved_in_a_file_that_was_removed(
    filled_map, make_places, unit_vectors, suffix
):
    with PlaceMap.open(filled_map, writable=True) as place_map:
        place_map.append(make_places(1), unit_vectors(1))
        filled_map.with_name(filled_map.name + suffix).unlink()
        with pytest.raises(DataError, match=r"moved, replaced or removed while it was written"):
            place_map.append(make_places(1), unit_vectors(1))


def test_discarding_removes_this_map_and_no_other(tmp_path, fingerprint, filled_map):
    path = tmp_path / "new.progeo"
    PlaceMap.create(path, fingerprint).discard()
    assert os.listdir(tmp_path) == ["filled.progeo"]
    place_map = PlaceMap.create(path, fingerprint)
    os.replace(filled_map, path)
    place_map.discard()
    with PlaceMap.open(path) as moved:
        assert len(moved) == 5
    assert os.listdir(tmp_path) == ["new.progeo"]


def test_a_calibration_is_one_step(full_map, tmp_path):
    with PlaceMap.open(full_map, writable=True) as place_map:
        revision, before = place_map.revision, place_map.calibration()
        assert before is not None
        place_map.set_calibration(Calibration())
        assert place_map.calibration() == Calibration()
        # The index of the places stays good.
        assert place_map.revision == revision
    with PlaceMap.open(full_map) as place_map:
        assert place_map.calibration() == Calibration()
        place_map.verify()


def test_cameras_are_counted_through_deletions(tmp_path, fingerprint, make_places, unit_vectors):
    with PlaceMap.create(tmp_path / "a.progeo", fingerprint) as place_map:
        assert not place_map.has_several_cameras()
        place_map.append(make_places(2, camera="front"), unit_vectors(2))
        assert not place_map.has_several_cameras()
        ids = place_map.append(make_places(1, camera="rear"), unit_vectors(1))
        assert place_map.has_several_cameras()
        place_map.delete(ids)
        assert not place_map.has_several_cameras()
        place_map.delete([1, 2, 3])
        assert len(place_map) == 0
        place_map.verify()
