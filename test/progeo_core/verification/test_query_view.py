import numpy as np
import pytest

from progeo_core.images.intrinsics import Intrinsics
from progeo_core.inference.feature_extractor import Keypoints
from progeo_core.verification.query_view import QueryView

CAMERA = Intrinsics(640, 480, 500.0, 500.0, 319.5, 239.5)


@pytest.fixture
def sides():
    return []


@pytest.fixture
def find(sides):
    """Return a finder that notes the sides it is asked for and finds the middle of the image."""

    def one(image, side):
        sides.append(side)
        height, width = image.shape[:2]
        middle = np.array([[(width - 1) / 2.0, (height - 1) / 2.0]], np.float32)
        return Keypoints(middle, np.ones((1, 64), np.float32) / 8.0, (width, height))

    return one


def test_features_are_found_once_and_only_when_asked(find, sides):
    view = QueryView(np.zeros((240, 320, 3), np.uint8), CAMERA, find)
    assert sides == []
    assert view.rays == pytest.approx(np.zeros((1, 2)), abs=1e-9)
    assert view.features is view.features
    assert sides == [None]


def test_a_calibration_of_other_images_gives_no_rays(find, sides):
    view = QueryView(np.zeros((240, 240, 3), np.uint8), CAMERA, find)
    assert view.camera is None
    assert view.rays is None
    assert sides == []
    with pytest.raises(ValueError, match="no focal length"):
        view.with_focal_length(500.0)


def test_a_wide_lens_is_enlarged_within_limits(find, sides):
    view = QueryView(np.zeros((240, 320, 3), np.uint8), CAMERA, find)
    assert view.camera.focal_x == 250.0
    closer = view.with_focal_length(500.0)
    assert closer.rays == pytest.approx(np.zeros((1, 2)), abs=1e-9)
    assert view.with_focal_length(5000.0).features.size == (320, 240)
    assert sides == [640, 1280]
