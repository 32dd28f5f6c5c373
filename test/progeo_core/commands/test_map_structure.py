import json

import pytest

from progeo_core.map.place_map import PlaceMap


@pytest.fixture
def walk(office, tmp_path):
    """Return a records.csv of eight images of a walk, with orientation and without depth."""
    lines = [line.split(",") for line in (office / "map.csv").read_text().splitlines()]
    rows = [",".join(line[:9]) for line in (lines[0], *lines[5:13])]
    path = tmp_path / "walk.csv"
    path.write_text("\n".join([rows[0], *(f"{office}/{row}" for row in rows[1:])]))
    return path


def info(progeo, path):
    return json.loads(progeo("map", "info", path, "--check", "--json").out)["views"]


def test_every_map_keeps_features_unless_told_not_to(progeo, few_records, small_model, tmp_path):
    command = ["--records", few_records, "--model", small_model]
    path = tmp_path / "a.progeo"
    done = progeo("map", "build", path, *command)
    assert done.code == 0, done.err
    assert "in 6 places of xfeat-" in done.out
    assert "42.0 kB per place" in done.out
    assert "3-D points none: the calibration of the camera is unknown" in " ".join(done.out.split())
    assert progeo("map", "build", tmp_path / "b.progeo", *command, "--features", "0").code == 0
    assert info(progeo, tmp_path / "b.progeo")["places"] == 0


@pytest.mark.slow
def test_places_without_depth_get_points_between_their_poses(
    progeo, walk, office, small_model, tmp_path
):
    path, camera = tmp_path / "a.progeo", office / "camera_info.yaml"
    command = ["map", "build", path, "--records", walk, "--model", small_model]
    done = progeo(*command, "--camera-info", camera, "--features", "400")
    assert done.code == 0, done.err
    assert "in 8 places, triangulated between known poses" in done.out
    found = info(progeo, path)
    assert found["with_landmarks"] == 8
    assert found["bytes_per_place"] == 400 * 82
    assert found["source"] == "triangulated between known poses"


@pytest.mark.slow
def test_a_map_gains_what_it_lacks_from_its_images_or_its_thumbnails(
    progeo, walk, office, small_model, tmp_path
):
    path, camera = tmp_path / "a.progeo", office / "camera_info.yaml"
    command = ["map", "build", path, "--records", walk, "--model", small_model, "--features", "0"]
    assert progeo(*command).code == 0
    done = progeo("map", "structure", path, "--camera-info", camera)
    assert done.code == 0, done.err
    assert "features from thumbnails 8 places" in " ".join(done.out.split())
    tried = "none: the orientation of the camera is unknown; camera poses of 0 of 8 places"
    assert info(progeo, path)["source"].startswith(tried)
    done = progeo("map", "structure", path, "--records", walk)
    assert done.code == 0, done.err
    assert "features from images 8 places" in " ".join(done.out.split())
    assert info(progeo, path)["with_landmarks"] == 8


def test_a_calibration_of_other_images_is_said_once_and_counted(
    progeo, walk, office, small_model, tmp_path
):
    text = (
        (office / "camera_info.yaml").read_text().replace("image_height: 360", "image_height: 540")
    )
    camera, path = tmp_path / "square.yaml", tmp_path / "a.progeo"
    camera.write_text(text)
    command = ["map", "build", path, "--records", walk, "--model", small_model]
    done = progeo(*command, "--camera-info", camera)
    assert done.code == 0, done.err
    assert done.err.count("the calibration is for images of 540x540 pixels") == 1
    assert "calibration or depth not used 8 images" in " ".join(done.out.split())
    with PlaceMap.open(path) as place_map:
        assert [view.intrinsics for view in place_map.views(place_map.ids())] == [None] * 8


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--features", "0"], "--features 0 finds nothing"),
        (["--image-topic", "/t"], "give exactly one of a path, --records"),
        (["--records", "a.csv", "--bag", "b"], "not --records and --bag"),
    ],
)
def test_bad_use_is_one_line(progeo, campus_map, options, message):
    done = progeo("map", "structure", campus_map, *options)
    assert done.code == 2
    assert message in done.error


def test_a_missing_map_is_named(progeo, tmp_path):
    done = progeo("map", "structure", tmp_path / "none.progeo")
    assert done.code == 1
    assert "none.progeo" in done.error
