import pytest
from sensor_msgs.msg import CameraInfo

from progeo_core.images.intrinsics import Intrinsics, read_camera_info


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
        {"d": [0.1, 0.2, 0.3]},
    ],
)
def test_message_without_a_usable_calibration_is_none(change: dict[str, object]) -> None:
    assert read_camera_info(camera_info(**change), rectified=False) is None


def test_a_lens_without_distortion_needs_no_model() -> None:
    message = camera_info(d=[0.0] * 3, distortion_model="equidistant")
    assert read_camera_info(message, rectified=False).distortion == ()


def test_the_matrix_is_scaled_to_the_image() -> None:
    matrix = Intrinsics(640, 480, 500.0, 510.0, 320.0, 240.0).matrix((320, 120))
    assert matrix.tolist() == [[250.0, 0.0, 160.0], [0.0, 127.5, 60.0], [0.0, 0.0, 1.0]]
