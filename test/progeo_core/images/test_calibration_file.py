from pathlib import Path

import pytest

from progeo_core.errors import DataError
from progeo_core.images.calibration_file import read_calibration
from progeo_core.images.intrinsics import Intrinsics

# As camera_calibration writes it, of a lens that was rectified to other focal lengths.
TEXT = """\
image_width: 640
image_height: 480
camera_name: front
camera_matrix:
  rows: 3
  cols: 3
  data: [500.5, 0., 320., 0., 510., 2.4e+02, 0., 0., 1.]
distortion_model: plumb_bob
distortion_coefficients:
  rows: 1
  cols: 5
  data: [-0.2, 5e-2, 0., 0., 0.]
rectification_matrix:
  rows: 3
  cols: 3
  data: [1., 0., 0., 0., 1., 0., 0., 0., 1.]
projection_matrix:
  rows: 3
  cols: 4
  data: [480., 0., 310., 0., 0., 490., 230., 0., 0., 0., 1., 0.]
"""
K = "[500.5, 0., 320., 0., 510., 2.4e+02, 0., 0., 1.]"
D = "[-0.2, 5e-2, 0., 0., 0.]"


def write(folder: Path, text: str | bytes) -> Path:
    file = folder / "camera_info.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return file


def test_matrix_and_distortion_of_raw_images_count(tmp_path: Path) -> None:
    found = read_calibration(write(tmp_path, TEXT))
    assert found == Intrinsics(640, 480, 500.5, 510.0, 320.0, 240.0, (-0.2, 0.05, 0.0, 0.0, 0.0))


def test_a_fisheye_and_a_lens_without_distortion_are_read(tmp_path: Path) -> None:
    fisheye = TEXT.replace("plumb_bob", "equidistant").replace(D, "[0.1, 0.2, 0.3, 0.4]")
    found = read_calibration(write(tmp_path, fisheye))
    assert (found.model, found.distortion) == ("fisheye", (0.1, 0.2, 0.3, 0.4))
    ideal = TEXT.replace(D, "[0, 0, 0, 0, 0]")
    assert read_calibration(write(tmp_path, ideal)).distortion == ()


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("image_width: 640\n", "", "image_width: is missing"),
        ("image_width: 640", "image_width: 6.4", "image_width: '6.4' is not a number of pixels"),
        ("image_width: 640", "image_width: 0", "image_width: '0' is not a number of pixels"),
        ("image_width: 640", "image_width: [640]", "image_width: must be one word"),
        ("camera_matrix:", "matrix:", "camera_matrix: is missing"),
        (K, "[1, 2]", "camera_matrix: has 2 numbers instead of 9"),
        (K, "[0, 0, 0, 0, 0, 0, 0, 0, 0]", "camera_matrix: is all zero: the camera was never"),
        (K, K.replace("500.5", "wide"), "camera_matrix: data must be numbers .*'wide'"),
        (K, K.replace("500.5", "[1]"), "camera_matrix: data must be numbers"),
        (K, K.replace("500.5", ".nan"), "camera_matrix: data must be numbers"),
        (K, K.replace("500.5", "nan"), "focal lengths must be positive and every number finite"),
        (K, K.replace("500.5", "-5"), "focal lengths must be positive and every number finite"),
        (K, "wide", "camera_matrix: must have the numbers of a matrix"),
        ("plumb_bob", "mei", "'mei' is not one of plumb_bob, rational_polynomial, equidistant"),
        (D, "[0.1, 0.2, 0.3]", "distortion_coefficients: has 3 numbers; plumb_bob has 0 or 4 or 5"),
        ("plumb_bob", "equidistant", "has 5 numbers; equidistant has 4"),
        ("rows: 3", "rows: {", "not YAML"),
        ("camera_name: front", "camera_name: &a [*a]", "aliases are not read"),
        ("camera_name: front", "camera_name: " + "[" * 9000, "not YAML .nested too deeply"),
        ("camera_name: front", "camera_name: " + "x" * 70_000, "over 64 kB"),
    ],
)
def test_each_defect_is_named(tmp_path: Path, old: str, new: str, problem: str) -> None:
    assert old in TEXT
    with pytest.raises(DataError, match=f"camera_info.yaml: .*{problem}"):
        read_calibration(write(tmp_path, TEXT.replace(old, new, 1)))


@pytest.mark.parametrize("text", ["", "just words", "- a\n- b", b"\xff\xfe\0", b"\0"])
def test_what_is_no_calibration_is_refused(tmp_path: Path, text: str | bytes) -> None:
    with pytest.raises(DataError, match=r"camera_info.yaml: not (YAML|a calibration file)"):
        read_calibration(write(tmp_path, text))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none.yaml: the calibration cannot be read"):
        read_calibration(tmp_path / "none.yaml")
