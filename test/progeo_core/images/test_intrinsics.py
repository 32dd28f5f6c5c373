import dataclasses
import json
import math
from typing import Any

import cv2
import numpy as np
import pytest
from sensor_msgs.msg import CameraInfo, RegionOfInterest

from progeo_core.errors import DataError, UsageError
from progeo_core.images.intrinsics import (
    Intrinsics,
    info_topic,
    is_rectified,
    read_camera_info,
    why_no_calibration,
)

HALF_CENTER = {"center_x": 159.75, "center_y": 119.75}


def camera_info(**change: object) -> CameraInfo:
    message = CameraInfo(width=640, height=480, distortion_model="plumb_bob")
    message.k = [500.0, 0.0, 320.0, 0.0, 510.0, 240.0, 0.0, 0.0, 1.0]
    message.p = [480.0, 0.0, 310.0, 0.0, 0.0, 490.0, 230.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    message.d = [-0.2, 0.05, 0.0, 0.0, 0.0]
    for field, value in change.items():
        setattr(message, field, value)
    return message


def test_raw_images_have_distortion_and_rectified_ones_have_none() -> None:
    raw = read_camera_info(camera_info(), rectified=False)
    assert raw == Intrinsics(640, 480, 500.0, 510.0, 320.0, 240.0, (-0.2, 0.05, 0.0, 0.0, 0.0))
    rectified = read_camera_info(camera_info(), rectified=True)
    assert rectified == Intrinsics(640, 480, 480.0, 490.0, 310.0, 230.0)


@pytest.mark.parametrize(
    "change",
    [
        {"k": [0.0] * 9},
        {"width": 0},
        {"k": [float("nan")] * 9},
        {"k": [1e308] * 9},
        {"d": [1e308] * 5},
        {"distortion_model": "equidistant"},
        {"distortion_model": "equirectangular"},
        {"d": [0.1, 0.2, 0.3]},
        {"d": [0.0] * 5, "distortion_model": "Equirectangular"},
    ],
)
def test_message_without_a_usable_calibration_is_none(change: dict[str, object]) -> None:
    assert read_camera_info(camera_info(**change), rectified=False) is None


def test_a_message_without_a_calibration_says_why() -> None:
    nothing, k = camera_info(p=[0.0] * 12), [500.0, 0.0, 320.0, 0.0, math.nan, 240.0, 0.0, 0.0, 1.0]
    assert why_no_calibration(nothing, True) == "its focal length in P is 0: calibrate the camera"
    assert why_no_calibration(camera_info(k=k), False) == "a number of K or D is not finite"
    assert why_no_calibration(camera_info(width=0), False) == "it is for images of 0x480 pixels"
    other = camera_info(distortion_model="omni")
    assert why_no_calibration(other, False) == "its distortion model 'omni' cannot be used"


def test_a_region_of_the_image_has_its_own_centre() -> None:
    region = RegionOfInterest(x_offset=100, y_offset=40, width=320, height=240)
    found = read_camera_info(camera_info(d=[], roi=region), rectified=False)
    assert found == Intrinsics(320, 240, 500.0, 510.0, 220.0, 200.0)
    beyond = RegionOfInterest(x_offset=400, width=640, height=480)
    assert read_camera_info(camera_info(roi=beyond), rectified=False).width == 640


def test_a_lens_without_distortion_needs_no_model() -> None:
    message = camera_info(d=[0.0] * 3, distortion_model="inverse_brown_conrady")
    assert read_camera_info(message, rectified=False).distortion == ()


def test_an_equidistant_lens_is_a_fisheye() -> None:
    message = camera_info(d=[-0.02, 0.005, 0.0, 0.0], distortion_model="equidistant")
    found = read_camera_info(message, rectified=False)
    assert found.model == "fisheye"
    assert found.distortion == (-0.02, 0.005, 0.0, 0.0)
    ideal = camera_info(d=[0.0] * 4, distortion_model="equidistant")
    # r = f * theta: half a radian to the right.
    ray = read_camera_info(ideal, rectified=False).normalized([[320.0 + 250.0, 240.0]])
    assert ray == pytest.approx(np.array([[np.tan(0.5), 0.0]]))


def test_the_matrix_is_scaled_to_the_image() -> None:
    matrix = Intrinsics(640, 480, 500.0, 510.0, 320.0, 240.0).matrix((320, 120))
    assert matrix.tolist() == [[250.0, 0.0, 159.75], [0.0, 127.5, 59.625], [0.0, 0.0, 1.0]]


RAW = Intrinsics(640, 480, 500.0, 510.0, 320.0, 240.0)
LENSES = [
    RAW,
    Intrinsics(640, 480, 500.0, 510.0, 320.0, 240.0, (-0.3, 0.1, 0.001, -0.001, 0.0)),
    Intrinsics(640, 480, 500.0, 510.0, 320.0, 240.0, (1.0, 0.5, 0.0, 0.0, 0.01, 1.2, 0.7, 0.05)),
    Intrinsics(640, 480, 400.0, 400.0, 320.0, 240.0, (-0.02, 0.005, -0.001, 0.0001), "fisheye"),
]


@pytest.mark.parametrize("lens", LENSES)
def test_pixels_and_rays_are_inverse(lens: Intrinsics) -> None:
    pixels = np.random.default_rng(0).uniform(0.0, 1.0, (500, 2)) * (640, 480)
    rays = lens.normalized(pixels)
    ahead = np.concatenate([rays, np.ones((500, 1))], axis=1)
    assert lens.pixels(3.0 * ahead) == pytest.approx(pixels, abs=1e-6)


def test_distortion_is_that_of_opencv() -> None:
    lens, points = LENSES[1], np.array([[0.2, -0.1, 1.0], [1.0, 0.7, 2.5]])
    still, distortion = np.zeros(3), np.array(lens.distortion)
    expected, _ = cv2.projectPoints(points, still, still, lens.matrix((640, 480)), distortion)
    assert lens.pixels(points) == pytest.approx(expected.reshape(-1, 2))


def test_what_a_lens_cannot_see_is_nan() -> None:
    behind = [[0.0, 0.0, -1.0], [0.1, 0.1, 0.0], [np.nan, 0.0, 1.0]]
    for lens in LENSES:
        assert np.isnan(lens.pixels(behind)).all()
        assert np.isnan(lens.normalized([[np.nan, 3.0], [np.inf, 3.0]])).all()
        assert lens.pixels(np.zeros((0, 3))).shape == lens.normalized([]).shape == (0, 2)
    wide = LENSES[3]
    assert np.isnan(wide.normalized([[320.0 + 400.0 * 1.4, 240.0]])).all()  # 80 degrees


def test_a_polynomial_that_folds_back_shows_no_points_from_outside_the_view() -> None:
    folding = Intrinsics(640, 480, 500.0, 500.0, 320.0, 240.0, (-0.3, 0.0, 0.0, 0.0))
    # r (1 - 0.3 r^2) grows up to r = 1.054; at r = 1.6 it would be back inside the image.
    seen = folding.pixels([[1.0, 0.0, 1.0], [1.6, 0.0, 1.0]])
    assert seen[0] == pytest.approx((320.0 + 500.0 * 0.7, 240.0))
    assert np.isnan(seen[1]).all()


def test_a_calibration_fits_images_of_its_aspect_ratio() -> None:
    half = RAW.scaled(320, 240)
    # The middle of the first small pixel is the corner that the first four large ones share.
    assert half == Intrinsics(320, 240, 250.0, 255.0, 159.75, 119.75)
    assert half.normalized([[80.0, 60.0]]) == pytest.approx(RAW.normalized([[160.5, 120.5]]))
    assert RAW.scaled(640, 480) is RAW
    with pytest.raises(UsageError, match="640x480 pixels and does not fit one of 640x360"):
        RAW.scaled(640, 360)
    with pytest.raises(UsageError, match="0x0"):
        RAW.scaled(0, 0)


@pytest.mark.parametrize(
    ("change", "like"),
    [
        ({}, True),
        ({"focal_x": 503.0, "focal_y": 497.0, "center_x": 321.5}, True),
        ({"width": 320, "height": 240, "focal_x": 250.0, "focal_y": 250.0}, False),
        ({"width": 320, "height": 240, "focal_x": 250.0, "focal_y": 250.0} | HALF_CENTER, True),
        ({"focal_x": 515.0, "focal_y": 515.0}, False),
        ({"distortion": (-0.2, 0.05, 0.0, 0.0)}, False),
        ({"width": 640, "height": 360}, False),
        ({"model": "fisheye", "distortion": (0.0, 0.0, 0.0, 0.0)}, False),
    ],
)
def test_calibrations_of_one_camera_have_the_same_rays(change: dict[str, Any], like: bool) -> None:
    one = Intrinsics(640, 480, 500.0, 500.0, 320.0, 240.0)
    other = dataclasses.replace(one, **change)
    assert one.is_like(other) is like
    assert other.is_like(one) is like


@pytest.mark.parametrize("lens", LENSES)
def test_json_keeps_a_calibration(lens: Intrinsics) -> None:
    assert Intrinsics.from_json(json.loads(json.dumps(lens.to_json()))) == lens


@pytest.mark.parametrize(
    "change",
    [
        {"focal_x": 0.0},
        {"focal_x": "wide"},
        {"width": 1e400},
        {"model": "equirectangular"},
        {"distortion": [0.1]},
        {"distortion": None},
    ],
)
def test_json_of_no_camera_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(DataError, match="calibration"):
        Intrinsics.from_json(RAW.to_json() | change)
    with pytest.raises(DataError, match="calibration"):
        Intrinsics.from_json([])


@pytest.mark.parametrize(
    ("image", "info", "rectified"),
    [
        ("/front/image_raw", "/front/camera_info", False),
        ("/image", "/camera_info", False),
        ("/rect/image_rect_color", "/rect/camera_info", True),
        ("/rect/image", "/rect/camera_info", False),
    ],
)
def test_the_calibration_is_beside_the_images(image: str, info: str, rectified: bool) -> None:
    assert info_topic(image) == info
    assert is_rectified(image) is rectified
