import json
import re
import shutil

import numpy as np
import pytest

from progeo_core.images.codec import encode_jpeg, read_image


def test_json_has_the_documented_keys(progeo, campus_map, campus_loop, small_model, tmp_path):
    empty = tmp_path / "empty.jpg"
    empty.touch()
    images = [campus_loop / "dataset" / "image_5.png", empty]
    done = progeo("localize", campus_map, *images, "--model", small_model, "--json")
    assert done.code == 0
    document = json.loads(done.out)
    assert document["schema"] == 1
    assert document["map"] == str(campus_map)
    answer, failed = document["answers"]
    assert answer["image"] == str(images[0])
    assert 0.0 <= answer["confidence"] <= 1.0
    assert answer["state"] == ("LOCALIZED" if answer["accepted"] else "AMBIGUOUS")
    assert len(answer["position"]) == len(answer["sigma_m"]) == 3
    assert [len(row) for row in answer["covariance"]] == [6] * 6
    assert answer["sigma_m"][0] ** 2 == pytest.approx(answer["covariance"][0][0])
    assert answer["geodetic"] is None
    best, *others = answer["matches"]
    assert len(others) == 19
    assert set(best) == {"place_id", "similarity", "position", "yaw_rad", "image"}
    assert best["similarity"] >= others[0]["similarity"]
    assert failed == {"image": str(empty), "error": f"{empty}: the image is empty (0 bytes)"}
    assert f"progeo: skipped: {empty}: the image is empty" in done.err


def test_a_reference_image_is_found_at_its_own_place(progeo, campus_map, campus_loop, small_model):
    image = campus_loop / "dataset" / "image_8.png"
    done = progeo("localize", campus_map, image, "--model", small_model)
    assert done.code == 0
    assert "LOCALIZED" in done.out
    assert re.search(rf"looks like  {image} \(similarity 0\.\d+, above 100 % of places", done.out)
    assert "heading" in done.out


def test_no_usable_image_is_a_failed_run(progeo, campus_map, small_model, tmp_path):
    done = progeo("localize", campus_map, tmp_path / "no.jpg", "--model", small_model)
    assert done.code == 1
    assert f"{tmp_path / 'no.jpg'}: the image cannot be read" in done.err
    assert done.error == "no image can be used: check the files named above"


@pytest.mark.slow
def test_a_map_of_another_model_is_refused_with_both_names(progeo, campus_map, campus_loop):
    image = campus_loop / "dataset" / "image_5.png"
    done = progeo("localize", campus_map, image, "--model", "mobilenetv2-gem")
    assert done.code == 1
    assert "was made with small" in done.error
    assert "mobilenetv2-gem" in done.error


def test_a_folder_is_localized_with_the_model_that_the_map_names(
    progeo, campus_map, campus_loop, small_model, tmp_path
):
    site = tmp_path / "site.progeo"
    shutil.copy(campus_map, site)
    (tmp_path / "photos").mkdir()
    for number in (8, 9):
        shutil.copy(campus_loop / "dataset" / f"image_{number}.png", tmp_path / "photos")
    missing = progeo("localize", site, tmp_path / "photos")
    assert missing.code == 2
    assert "made with small" in missing.error
    assert "--model FOLDER" in missing.error
    shutil.copytree(small_model, tmp_path / "small")
    done = progeo("localize", site, tmp_path / "photos", "--json")
    assert done.code == 0, done.err
    names = [answer["image"] for answer in json.loads(done.out)["answers"]]
    assert names == [str(tmp_path / "photos" / f"image_{number}.png") for number in (8, 9)]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("none.progeo", "there is no map here"),
        ("map.sqlite", "a map file must be called NAME.progeo"),
    ],
)
def test_a_missing_map_is_said_before_the_model_is_loaded(progeo, tmp_path, name, message):
    done = progeo("localize", tmp_path / name, "a.jpg", "--model", "no-such-model")
    assert message in done.error
    assert done.code == (2 if name == "map.sqlite" else 1)


def test_an_unknown_model_or_device_is_bad_use(progeo, campus_map):
    done = progeo("localize", campus_map, "a.jpg", "--model", "no-such-model")
    assert done.code == 2
    assert "unknown model 'no-such-model'" in done.error
    done = progeo("localize", campus_map, "a.jpg", "--device", "abacus", "--model", "progeo-tiny")
    assert done.code == 2
    assert "abacus" in done.error


def test_a_full_pose_is_printed_with_a_picture_of_its_match(
    progeo, office, office_map, small_model, tmp_path
):
    image, cut = office / "images" / "0355.jpg", tmp_path / "0355.jpg"
    cut.write_bytes(encode_jpeg(np.ascontiguousarray(read_image(image)[:, :300])))
    done = progeo(
        "localize", office_map, image, cut, "--camera-info", office / "camera_info.yaml",
        "--matches", tmp_path / "out", "--model", small_model,
    )  # fmt: skip
    assert done.code == 0, done.err
    # The truth: 1.289, 2.418, 0.108, a heading of 220.4° and 22.0° down.
    assert re.search(r"1\.[23]\d\d m east, 2\.[34]\d\d m north, 0\.\d\d\d m up \(± 0\.\d", done.out)
    assert re.search(r"heading 2(19|20|21)\.\d°, looks 2[123]\.\d° down, tilted \d\.\d°", done.out)
    assert "no metric pose: the calibration is for images of 540x360 pixels" in done.out
    lines, plain = (read_image(tmp_path / "out" / f"{n}_0355.jpg") for n in (1, 2))
    assert lines.shape[0] == plain.shape[0] == 268
