import json
import re
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from progeo_core.bags.writer import write_bag
from progeo_core.geo import Datum
from progeo_core.map.place_map import PlaceMap
from progeo_core.records.records import read_records


@pytest.fixture
def truncated(tmp_path, corridor):
    """Return an image that ends in the middle."""
    path = tmp_path / "truncated.jpg"
    path.write_bytes((corridor / "ref" / "0000000.jpg").read_bytes()[:2000])
    return path


@pytest.mark.slow
def test_build_from_records_counts_and_indexes(progeo, few_records, small_model, tmp_path):
    built = tmp_path / "few.progeo"
    done = progeo("map", "build", built, "--records", few_records, "--model", small_model)
    assert done.code == 0, done.err
    with PlaceMap.open(built) as place_map:
        assert len(place_map) == 6
        assert place_map.datum is None
        assert place_map.fingerprint.name == "small"
    assert built.with_suffix(".faiss").is_file()
    assert sorted(built.parent.glob("few.progeo*")) == [built]


def test_build_refuses_to_replace_a_map_before_it_does_any_work(built, progeo, few_records):
    before = built.read_bytes()
    done = progeo("map", "build", built, "--records", few_records, "--model", "no-such-model")
    assert done.code == 2
    assert done.error == f"{built} exists already: add to it with --append, or choose another name"
    assert built.read_bytes() == before


def test_append_adds_what_is_new_only(built, progeo, few_records, campus_loop, small_model):
    line = (campus_loop / "records.csv").read_text().splitlines()[10]
    few_records.write_text(few_records.read_text() + f"{campus_loop}/{line}\n")
    command = ["map", "build", built, "--records", few_records, "--model", small_model, "--append"]
    done = progeo(*command)
    assert done.code == 0, done.err
    assert "in the map already 6" in " ".join(done.out.split())
    with PlaceMap.open(built) as place_map:
        assert len(place_map) == 7
    assert progeo(*command).code == 0
    with PlaceMap.open(built) as place_map:
        assert len(place_map) == 7


def test_a_shortened_map_is_extended_and_asked_as_any_other(
    progeo, few_records, campus_loop, small_model, tmp_path
):
    built, more = tmp_path / "short.progeo", tmp_path / "more.csv"
    command = ["map", "build", built, "--model", small_model, "--features", 0]
    done = progeo(*command, "--records", few_records, "--dimension", 64)
    assert done.code == 0, done.err
    header, *rows = (campus_loop / "records.csv").read_text().splitlines()
    more.write_text("\n".join([header, *(f"{campus_loop}/{row}" for row in rows[6:9])]))
    assert progeo(*command, "--records", more, "--append").code == 0
    document = json.loads(progeo("map", "info", built, "--check", "--json").out)
    assert (document["places"], document["shortened_to"]) == (9, 64)
    assert document["model"]["dimension"] == 1280
    asked = progeo(
        "evaluate", "--map", built, "--queries", more, "--radius", 0.1, "--verification-ms", 0,
        "--model", small_model, "--json", "-",
    )  # fmt: skip
    assert json.loads(asked.out)["recall_at"]["1"] == 1.0
    again = progeo(*command, "--records", more, "--append", "--dimension", 32)
    assert again.code == 2
    assert "keeps 64 values of a descriptor, which cannot become 32" in again.error


def test_append_does_not_move_the_datum(built, progeo, few_records, small_model):
    command = ["map", "build", built, "--records", few_records, "--model", small_model, "--append"]
    done = progeo(*command, "--datum", "48,11")
    assert done.code == 2
    assert "the map's datum is none and cannot be changed to 48.0,11.0,0.0" in done.error


def test_append_with_another_model_names_both(built, progeo, few_records):
    command = ["map", "build", built, "--records", few_records, "--append", "--runtime", "torch"]
    done = progeo(*command, "--model", "mobilenetv2-gem")
    assert done.code == 1
    assert "was made with small" in done.error
    assert "mobilenetv2-gem" in done.error


def test_append_takes_the_model_of_the_map(built, progeo, few_records, small_model):
    command = ["map", "build", built, "--records", few_records, "--append"]
    done = progeo(*command)
    assert done.code == 2
    assert "made with small" in done.error
    (built.parent / "small").symlink_to(small_model)
    done = progeo(*command)
    assert done.code == 0, done.err
    assert "in the map already 6" in " ".join(done.out.split())


def test_datum_makes_fixes_of_local_metres(progeo, few_records, small_model, tmp_path):
    path = tmp_path / "placed.progeo"
    command = ["map", "build", path, "--records", few_records, "--model", small_model]
    assert progeo(*command, "--datum", "48.1,11.5,520").code == 0
    with PlaceMap.open(path) as place_map:
        assert place_map.datum == Datum(48.1, 11.5, 520.0)


@pytest.mark.parametrize("datum", ["48.1", "north,east", "91,11", "48,11,5,6"])
def test_a_bad_datum_is_refused_with_the_form(progeo, few_records, tmp_path, datum):
    done = progeo(
        "map", "build", tmp_path / "a.progeo", "--records", few_records, f"--datum={datum}"
    )
    assert done.code == 2
    assert "datum" in done.error
    assert not (tmp_path / "a.progeo").exists()


def test_skipped_images_are_named_and_counted(
    progeo, few_records, truncated, small_model, tmp_path
):
    _, *rows = few_records.read_text().splitlines()
    without_fix = f"{rows[0].split(',')[0]},0,0,0"
    table = "image,lat_deg,lon_deg,heading_deg", *rows, f"{truncated},1,1,0", without_fix
    few_records.write_text("\n".join(table))
    path = tmp_path / "a.progeo"
    done = progeo("map", "build", path, "--records", few_records, "--model", small_model)
    assert done.code == 0, done.err
    assert re.search(r"skipped +2\n", done.out)
    assert "1 of 8 records skipped, first: " in done.err
    assert f"progeo: skipped: {truncated}: the image is truncated" in done.err
    with PlaceMap.open(path) as place_map:
        assert len(place_map) == 6


def test_a_failed_build_leaves_no_file(progeo, truncated, small_model, tmp_path):
    records = tmp_path / "bad.csv"
    records.write_text(f"image,x_m,y_m\n{truncated},0,0\n")
    path = tmp_path / "a.progeo"
    done = progeo("map", "build", path, "--records", records, "--model", small_model)
    assert done.code == 1
    assert "none of 1 images can be used" in done.error
    assert list(tmp_path.glob("a.*")) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "give exactly one of a path, --records, --images and --bag, not none"),
        (["--records", "a.csv", "--images", "b"], "not --records and --images"),
        (["--records", "a.csv", "--image-topic", "/t"], "a.csv is a table: --image-topic"),
        (["--records", "a.csv", "--depth-topic", "/t"], "go with a bag"),
        (["--images", "a", "--camera-poses"], "a is a folder: --image-topic"),
        (["--records", "a.csv", "--radius", "3"], "No such option: --radius"),
    ],
)
def test_bad_use_is_one_line_and_exit_code_2(progeo, tmp_path, options, message):
    done = progeo("map", "build", tmp_path / "a.progeo", *options)
    assert done.code == 2
    assert message in done.error


def test_a_missing_column_is_named_with_its_mend(progeo, tmp_path):
    records = tmp_path / "records.csv"
    records.write_text("image,x_m\na.jpg,1\n")
    done = progeo("map", "build", tmp_path / "a.progeo", "--records", records)
    assert done.code == 1
    assert f"{records}, line 1, column y_m: is missing" in done.error


def test_build_from_names_takes_the_heading_as_stated(progeo, corridor, small_model, tmp_path):
    folder = tmp_path / "named"
    folder.mkdir()
    for number in range(3):
        name = f"@{690000 + 5 * number:.2f}@5336000.00@32@U@@@@@90@@@@@@.jpg"
        shutil.copy(corridor / "ref" / f"{number:07d}.jpg", folder / name)
    for convention, known in (("unknown", 0), ("azimuth", 3)):
        path = tmp_path / f"{convention}.progeo"
        command = ["map", "build", path, "--images", folder, "--model", small_model]
        assert progeo(*command, "--heading-convention", convention).code == 0
        summary = json.loads(progeo("map", "info", path, "--json").out)
        assert summary["places"] == 3
        assert summary["places_with_yaw"] == known
        assert summary["datum"]["lat_deg"] == pytest.approx(48.15, abs=0.1)
        east = summary["extent_m"]["max"][0] - summary["extent_m"]["min"][0]
        assert east == pytest.approx(10.0, abs=0.05)


def test_build_from_a_bag_interpolates_poses(progeo, few_records, small_model, tmp_path):
    write_bag(tmp_path / "drive", read_records(few_records))
    path = tmp_path / "drive.progeo"
    topics = ["--image-topic", "/camera/image_raw", "--pose-topic", "/ground_truth/pose"]
    done = progeo(
        "map", "build", path, "--bag", tmp_path / "drive", *topics, "--model", small_model
    )
    assert done.code == 0, done.err
    with PlaceMap.open(path) as place_map:
        table = place_map.places()
    assert len(table.ids) == 6
    assert set(table.traverse) == {"drive"}
    assert table.image[0].startswith("/camera/image_raw@")
    wrong = progeo(
        "map", "build", tmp_path / "b.progeo", "--bag", tmp_path / "drive",
        "--image-topic", "/nope", "--pose-topic", "/ground_truth/pose",
    )  # fmt: skip
    assert wrong.code == 1
    assert "no topic '/nope'; topics with images: /camera/image_raw" in wrong.error


def test_geotagged_photos_are_read_as_they_are(progeo, tmp_path):
    (tmp_path / "photos").mkdir()
    image = cv2.imread(str(next((Path(__file__).parents[2] / "data").rglob("*.jpg"))))
    cv2.imwrite(str(tmp_path / "photos" / "a.jpg"), np.asarray(image))
    done = progeo("map", "build", tmp_path / "a.progeo", "--images", tmp_path / "photos")
    assert done.code == 1
    assert "none of 1 images has a position: give '@' names, photos with GPS" in done.error
