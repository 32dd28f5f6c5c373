import dataclasses
import json
import os
import shlex
import shutil
import subprocess
import sys

import numpy as np
import PIL.Image
import pytest
from rosbags.rosbag2 import Writer

from progeo_core.bags.messages import FIX, typestore
from progeo_core.bags.writer import FIX_TOPIC, IMAGE_TOPIC, write_bag
from progeo_core.geo import Datum, Frame, wgs84_from_enu
from progeo_core.records.cosplace_names import read_names
from progeo_core.records.image_list import list_images
from progeo_core.records.records import read_records, write_records
from progeo_core.train.options import read_options
from progeo_core.train.training_set import read_training_set

TOPICS = ("--image-topic", "/camera/image_raw", "--pose-topic", "/ground_truth/pose")


@pytest.fixture(scope="module")
def drives(corridor, tmp_path_factory):
    """Return bags of 40 metres of both passes."""
    folder = tmp_path_factory.mktemp("drives")
    for name in ("ref", "query"):
        write_bag(folder / name, read_records(corridor / f"{name}.csv").select(slice(40)))
    return folder / "ref", folder / "query"


@pytest.fixture
def photos(corridor, tmp_path):
    """Return a folder of 30 geotagged photos, 2 m apart, and one without a position."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for number, image in enumerate(sorted((corridor / "ref").iterdir())[:30]):
        (place,) = wgs84_from_enu([[2.0 * number, 0.0, 0.0]], Datum(48.0, 11.0)).tolist()
        exif = PIL.Image.Exif()
        exif[0x8825] = {1: "N", 2: degrees(place[0]), 3: "E", 4: degrees(place[1])}
        with PIL.Image.open(image) as photo:
            photo.save(folder / image.name, exif=exif)
    shutil.copy(corridor / "ref" / "0000040.jpg", folder)
    return folder


def degrees(angle):
    return int(angle), int(angle % 1 * 60), angle * 60 % 1 * 60


def test_drives_become_a_data_set(progeo, drives, tmp_path):
    out = tmp_path / "site"
    done = progeo("dataset", "from-bag", *drives, *TOPICS, "--cell", "5", "--out", out)
    assert done.code == 0, done.err
    assert "queries of test" in done.out
    assert "other passes" in done.out
    assert "train with" in done.out
    document = json.loads((out / "dataset.json").read_text())
    for folder, count in document["images"].items():
        assert len(list_images(out / folder)) == count
        assert f"{folder}  " in done.out
    assert sum(document["images"].values()) + sum(document["left_out"].values()) == 80


@pytest.mark.slow
def test_queries_of_drives_are_evaluated_as_a_sequence_with_odometry(
    progeo, drives, small_model, tmp_path
):
    out, lab, model = tmp_path / "site", tmp_path / "lab.progeo", ("--model", small_model)
    odometry = ("--odom-topic", "/ground_truth/pose")
    done = progeo("dataset", "from-bag", *drives, *TOPICS, *odometry, "--cell", "5", "--out", out)
    assert done.code == 0, done.err
    table = read_records(out / "test" / "queries.csv")
    assert len(table) == len(list_images(out / "test" / "queries"))
    assert (np.diff(table.stamp_ns) > 0).all()
    np.testing.assert_array_equal(table.odometry[:, :2], table.position[:, :2])
    assert set(table.traverse) == {"query"}
    built = progeo("map", "build", lab, "--images", out / "test" / "database", *model)
    assert built.code == 0, built.err
    write_records(out / "plain.csv", dataclasses.replace(table, odometry=np.empty((0, 3))))
    options = ("--sequence", "--verification-ms", "0", "--json", "-", *model)
    moved, plain = (
        json.loads(progeo("evaluate", "--map", lab, "--queries", queries, *options).out)
        for queries in (out / "test" / "queries.csv", out / "plain.csv")
    )
    assert moved["queries"] == len(table)
    assert moved["recall_at"] == plain["recall_at"]
    assert moved["sequence"] != plain["sequence"]


def test_json_is_that_of_the_folder(progeo, drives, tmp_path):
    out = tmp_path / "site"
    done = progeo(
        "dataset", "from-bag", drives[0], *TOPICS, "--cell", "4", "--datum", "48,11", "--seed", "7",
        "--min-distance", "2", "--val-fraction", "0", "--out", out, "--json",
    )  # fmt: skip
    document, written = json.loads(done.out), json.loads((out / "dataset.json").read_text())
    assert document.items() <= written.items()
    assert document["positions"] == "utm"
    assert document["queries_by_pass"] == {"test": False}
    assert document["left_out"]["the camera had hardly moved since the last image"] == 20
    assert written["settings"] == {
        "cell_m": 4.0,
        "val_fraction": 0.0,
        "test_fraction": 0.15,
        "min_distance_m": 2.0,
        "seed": 7,
    }


def test_photos_become_a_data_set(progeo, photos, tmp_path):
    out = tmp_path / "site"
    done = progeo("dataset", "from-photos", photos, "--cell", "4", "--out", out)
    assert done.code == 0, done.err
    assert "left out: no position" in done.out
    columns = read_names(list_images(out / "train").names())
    assert set(columns.zone.tolist()) == {32}
    assert ",,no GPS position in its EXIF tags" in (out / "left_out.csv").read_text()


def test_tables_and_named_images_become_data_sets(progeo, few_records, tmp_path):
    options = ["--cell", "2", "--test-fraction", "0.34", "--val-fraction", "0"]
    done = progeo("dataset", "from-photos", few_records, *options, "--out", tmp_path / "one")
    assert done.code == 0, done.err
    options += ["--heading-convention", "azimuth", "--out", tmp_path / "two"]
    again = progeo("dataset", "from-photos", tmp_path / "one", *options)
    assert again.code == 0, again.err
    one, two = (
        read_names(list_images(tmp_path / name / "train").names()) for name in ("one", "two")
    )
    assert set(two.heading_deg.tolist()) <= set(
        read_names(list_images(tmp_path / "one").names()).heading_deg.tolist()
    )
    assert len(one.east_m) == len(two.east_m)


def test_too_few_images_for_a_class_are_a_warning(progeo, few_records, tmp_path):
    options = ["--min-distance", "100", "--test-fraction", "0", "--val-fraction", "0"]
    done = progeo("dataset", "from-photos", few_records, *options, "--out", tmp_path / "site")
    assert done.code == 0
    assert "too few images for classes" in done.err


def test_what_cannot_be_done_is_one_line(progeo, drives, corridor, photos, tmp_path):
    out = ("--out", tmp_path / "site")
    for arguments, code, message in (
        (("from-bag", *drives, *TOPICS, "--cell", "99", *out), 1, "give a smaller cell"),
        (("from-bag", tmp_path / "no", *TOPICS, *out), 1, "there is no such bag"),
        (("from-bag", drives[0], *TOPICS, "--val-fraction", "2", *out), 2, "--val-fraction"),
        (("from-bag", drives[0], *TOPICS, "--datum", "here", *out), 2, "datum 'here'"),
        (("from-bag", drives[0], *TOPICS[:3], "/gps", *out), 1, "there is no topic '/gps'"),
        (("from-bag", *drives, *TOPICS, "--odom-topic", "/o", *out), 1, "no topic '/o'; topics"),
        (("from-bag", drives[0], *TOPICS), 2, "--out"),
        (("from-photos", corridor / "ref", *out), 1, "none of 111 images has a position"),
        (("from-photos", tmp_path / "no", *out), 1, "no such folder"),
        (("from-photos", photos, "--datum", "48,11", *out), 2, "leave the datum out"),
        (("from-photos", photos, "--out", photos), 2, "is not empty"),
    ):
        done = progeo("dataset", *arguments)
        assert done.code == code, done.err
        assert message in done.error
    assert not (tmp_path / "site").exists()


def test_an_empty_bag_is_said(progeo, tmp_path):
    with Writer(tmp_path / "empty", version=8) as writer:
        writer.add_connection("/gps/fix", FIX, typestore=typestore())
    done = progeo("dataset", "from-bag", tmp_path / "empty", *TOPICS, "--out", tmp_path / "site")
    assert done.code == 1
    assert "the bag is empty (no messages)" in done.error


def in_degrees(records):
    position = wgs84_from_enu(records.position, Datum(48.0, 11.0))
    return dataclasses.replace(records, position=position, frame=Frame.WGS84)


def test_fixes_have_no_heading_and_make_classes_of_whole_turns(progeo, corridor, tmp_path):
    write_bag(tmp_path / "gps", in_degrees(read_records(corridor / "ref.csv")))
    topics = ("--image-topic", IMAGE_TOPIC, "--pose-topic", FIX_TOPIC)
    out = tmp_path / "site"
    done = progeo("dataset", "from-bag", tmp_path / "gps", *topics, "--cell", "5", "--out", out)
    assert done.code == 0, done.err
    document = json.loads((out / "dataset.json").read_text())
    assert document["positions"] == "utm"
    assert "--alpha 360" in document["train_with"]
    flags = shlex.split(document["train_with"])
    training_set = read_training_set(out / "train", read_options("Test.", flags).places)
    assert sum(map(len, training_set.groups)) == document["classes"] > 0


def test_metres_and_degrees_do_not_mix(progeo, drives, corridor, tmp_path):
    records = in_degrees(read_records(corridor / "ref.csv").select(slice(3)))
    write_bag(tmp_path / "gps", records, pose_topic="/ground_truth/pose")
    done = progeo(
        "dataset", "from-bag", *drives, tmp_path / "gps", *TOPICS, "--out", tmp_path / "s"
    )
    assert done.code == 2
    assert "give sources of one kind only" in done.error


@pytest.mark.slow
def test_names_that_are_no_utf8_stop_no_command(progeo, photos, tmp_path, small_model):
    for image in photos.iterdir():
        image.rename(photos / os.fsdecode(b"caf\xe9" + os.fsencode(image.name)))
    model, image = ("--model", small_model), sorted(photos.iterdir())[3]
    place_map, described = tmp_path / "map.progeo", tmp_path / "photos.npy"
    for arguments in (
        ("dataset", "from-photos", photos, "--cell", "4", "--out", tmp_path / "site"),
        ("map", "build", place_map, "--images", photos, *model),
        ("describe", "--images", photos, "--out", described, *model),
    ):
        assert progeo(*arguments).code == 0
    assert "\\udce9" in (tmp_path / "site" / "left_out.csv").read_text(encoding="utf-8")
    names = json.loads((tmp_path / "photos.json").read_text(encoding="utf-8"))["images"]
    assert names[3] == str(image)
    # A terminal of UTF-8 refuses what is none.
    done = subprocess.run(
        [sys.executable, "-m", "progeo_core.cli", "localize", place_map, image, "--json", *model],
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": "utf-8:strict"},
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    assert json.loads(done.stdout)["answers"][0]["image"] == str(image)
