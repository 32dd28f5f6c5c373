import csv
import dataclasses
import json
import signal
import subprocess
import sys
from typing import Any

import numpy as np
import PIL.Image
import pytest

from progeo_core.dataset.place_classes import PlaceClassSettings
from progeo_core.dataset.plan import DatasetSettings, Fate
from progeo_core.dataset.writer import write_dataset
from progeo_core.errors import DataError, UsageError
from progeo_core.geo import Datum, Frame, wgs84_from_enu
from progeo_core.images.codec import read_image
from progeo_core.records.cosplace_names import read_name
from progeo_core.records.image_list import list_images
from progeo_core.records.image_source import FileSource, JoinedSource
from progeo_core.records.records import read_records
from progeo_core.train.benchmark import find_benchmarks
from progeo_core.train.training_set import read_training_set
from test.dataset_kills import finish_writing, kill_while_writing

DATUM = Datum(-33.86, 151.2, 20.0)
SMALL = DatasetSettings(cell_m=5.0, val_fraction=0.2, test_fraction=0.2)


@pytest.fixture
def source(corridor):
    """Return 40 metres of both passes."""
    parts = (read_records(corridor / f"{name}.csv").select(slice(40)) for name in ("ref", "query"))
    return JoinedSource(tuple(FileSource(part) for part in parts))


def in_degrees(source):
    records = source.records
    position = wgs84_from_enu(records.position, DATUM)
    return FileSource(dataclasses.replace(records, position=position, frame=Frame.WGS84))


@pytest.mark.parametrize("form", ["local", "datum", "degrees"])
def test_training_and_evaluation_read_what_was_written(source, tmp_path, form):
    done: list[int] = []
    report = write_dataset(
        tmp_path / "new" / "site",
        in_degrees(source) if form == "degrees" else source,
        SMALL,
        datum=DATUM if form == "datum" else None,
        advance=done.append,
    )
    assert sum(done) == len(source.records)
    assert report.positions == ("local" if form == "local" else "utm")
    assert report.by_pass == {"val": True, "test": True}
    assert sum(report.images.values()) + sum(report.left_out.values()) == len(source.records)
    training_set = read_training_set(report.folder / "train", report.classes.settings)
    assert sum(map(len, training_set.groups)) == report.classes.classes > 0
    for split in ("val", "test"):
        (benchmark,) = find_benchmarks(str(report.folder / split), split)
        counts = len(benchmark.database.images), len(benchmark.queries.images)
        assert counts == tuple(report.images[f"{split}/{one}"] for one in ("database", "queries"))
        assert set(benchmark.database.zone.tolist()) == {0 if form == "local" else -56}
        offset = np.hypot(
            benchmark.database.east_m - benchmark.queries.east_m[:, None],
            benchmark.database.north_m - benchmark.queries.north_m[:, None],
        )
        assert offset.min(axis=1).max() <= 5.0


def test_every_image_is_the_one_that_its_name_says(source, tmp_path):
    report = write_dataset(tmp_path / "site", source, SMALL)
    for folder, count in report.images.items():
        images = list_images(tmp_path / "site" / folder)
        assert len(images) == count
        for path in images[::9]:
            fields = read_name(path.name)
            row = int(fields.pano_id)
            original = read_image(source.records.images[row])
            assert np.abs(read_image(path).astype(int) - original).mean() < 3
            assert fields.east_m == source.records.position[row, 0]
            assert fields.note == source.records.traverse[row]


def test_the_folder_says_what_came_out_of_what(source, tmp_path):
    report = write_dataset(tmp_path / "site", source, SMALL)
    document = json.loads((tmp_path / "site" / "dataset.json").read_text())
    assert document["schema"] == 1
    assert document["settings"] == dataclasses.asdict(SMALL)
    assert document["classes"] == report.classes.classes
    assert PlaceClassSettings(**document["class_settings"]) == report.classes.settings
    assert document["versions"]["python"]
    with (tmp_path / "site" / "left_out.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["why"] for row in rows} == {"between two areas"}
    assert len(rows) == report.left_out["between two areas"] > 0
    assert {row["traverse"] for row in rows} == {"ref", "query"}


def test_images_that_cannot_be_used_are_named(source, tmp_path, corridor):
    (tmp_path / "cut.jpg").write_bytes((corridor / "ref/0000012.jpg").read_bytes()[:900])
    records = source.records
    images = list(records.images)
    images[12] = tmp_path / "cut.jpg"
    damaged = FileSource(
        dataclasses.replace(records, images=tuple(images)), ("photo.jpg: no GPS position",)
    )
    report = write_dataset(
        tmp_path / "site", damaged, DatasetSettings(val_fraction=0, test_fraction=0)
    )
    assert report.left_out["unreadable"] == 1
    assert report.left_out["no position"] == 1
    (why,) = report.skipped
    assert "cut.jpg: the image is truncated" in why
    with (tmp_path / "site" / "left_out.csv").open() as file:
        left_out = {row["image"]: row["why"] for row in csv.DictReader(file)}
    assert left_out["photo.jpg"] == "no GPS position"
    assert left_out[str(tmp_path / "cut.jpg")] == why


def test_no_readable_image_leaves_nothing(source, tmp_path):
    records = source.records
    absent = dataclasses.replace(records, images=(tmp_path / "absent.jpg",) * len(records))
    with pytest.raises(DataError, match=r"none is left for .*train.*absent.jpg: the image cannot"):
        write_dataset(tmp_path / "site", FileSource(absent), SMALL)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_files_is_never_touched(source, tmp_path):
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match="site is not empty, and nothing is overwritten"):
        write_dataset(tmp_path / "site", source, SMALL)
    assert [path.name for path in (tmp_path / "site").iterdir()] == ["notes.txt"]
    with pytest.raises(UsageError, match=r"notes.txt is not empty"):
        write_dataset(tmp_path / "site" / "notes.txt", source, SMALL)


def test_an_empty_folder_is_taken(source, tmp_path):
    (tmp_path / "site").mkdir()
    report = write_dataset(tmp_path / "site", source, SMALL)
    assert len(list_images(tmp_path / "site" / "train")) == report.images[Fate.TRAIN.value]


def test_degrees_need_no_datum(source, tmp_path):
    with pytest.raises(UsageError, match="leave the datum out"):
        write_dataset(tmp_path / "site", in_degrees(source), SMALL, datum=DATUM)
    assert list(tmp_path.iterdir()) == []


WRITE_IN_A_CHILD = """
import os, resource, signal, sys
from pathlib import Path
from progeo_core.dataset.plan import DatasetSettings
from progeo_core.dataset.writer import write_dataset
from progeo_core.errors import DataError
from progeo_core.records.image_source import source_of_records

csv, folder, trouble = sys.argv[1:]
if trouble == "full":
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, 5_000))
done = []
def advance(count):
    done.append(count)
    if trouble == "kill" and len(done) == 20:
        os.kill(os.getpid(), signal.SIGKILL)
    if trouble == "interrupt" and len(done) == 20:
        raise KeyboardInterrupt
try:
    settings = DatasetSettings(cell_m=5.0)
    write_dataset(Path(folder), source_of_records(Path(csv)), settings, advance=advance)
except DataError as error:
    sys.exit(str(error))
"""


def write_in_a_child(corridor, folder, trouble):
    return subprocess.run(
        [sys.executable, "-c", WRITE_IN_A_CHILD, corridor / "ref.csv", folder, trouble],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_kill_leaves_no_half_data_set_and_the_next_start_no_leftovers(corridor, source, tmp_path):
    child = write_in_a_child(corridor, tmp_path / "site", "kill")
    assert child.returncode == -signal.SIGKILL
    assert [path.name for path in tmp_path.iterdir()] == [".site.unfinished"]
    report = write_dataset(tmp_path / "site", source, SMALL)
    assert report.images["train"]
    assert [path.name for path in tmp_path.iterdir()] == ["site"]
    written = sum(1 for path in (tmp_path / "site").rglob("*.jpg"))
    assert written == sum(report.images.values())


@pytest.mark.slow
def test_kills_at_any_moment_leave_all_or_nothing(corridor, tmp_path):
    rng = np.random.default_rng(0)
    for _ in range(4):
        kill_while_writing(tmp_path / "site", corridor / "ref.csv", rng)
    finish_writing(tmp_path / "site", corridor / "ref.csv")


def test_two_writers_of_one_folder_keep_apart(source, tmp_path):
    folder = tmp_path / "site"
    refusals: list[Any] = []

    def meanwhile(_):
        if not refusals:
            with pytest.raises(UsageError, match="site: another process is writing it") as refusal:
                write_dataset(folder, source, SMALL)
            refusals.append(refusal)

    report = write_dataset(folder, source, SMALL, advance=meanwhile)
    assert refusals
    assert len(list(folder.rglob("*.jpg"))) == sum(report.images.values())


def test_an_image_that_no_jpeg_can_hold_is_left_out(source, tmp_path):
    PIL.Image.new("L", (66_000, 2)).save(tmp_path / "long.png")
    images = list(source.records.images)
    images[3] = tmp_path / "long.png"
    odd = FileSource(dataclasses.replace(source.records, images=tuple(images)))
    report = write_dataset(tmp_path / "site", odd, DatasetSettings(val_fraction=0, test_fraction=0))
    assert "66000x2 pixels are too many" in report.skipped[0]


def test_a_full_disk_is_said_and_nothing_is_left(corridor, tmp_path):
    child = write_in_a_child(corridor, tmp_path / "site", "full")
    assert child.returncode == 1
    assert child.stderr.count("\n") == 1
    assert "site: the data set cannot be written" in child.stderr
    assert "check free space" in child.stderr
    assert list(tmp_path.iterdir()) == []


def test_an_interruption_leaves_nothing(corridor, tmp_path):
    assert write_in_a_child(corridor, tmp_path / "site", "interrupt").returncode != 0
    assert list(tmp_path.iterdir()) == []
