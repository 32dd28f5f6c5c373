"""Calibrations beside the images of a bag."""

from pathlib import Path

from sensor_msgs.msg import CameraInfo

from progeo_core.bags.camera_info import calibration_in
from progeo_core.bags.reader import Bag
from progeo_core.images.intrinsics import Intrinsics
from test.progeo_core.bags.test_reader import image, make_bag

K = [500.0, 0.0, 320.0, 0.0, 500.0, 240.0, 0.0, 0.0, 1.0]
P = [400.0, 0.0, 320.0, 0.0, 0.0, 400.0, 240.0, 0.0, 0.0, 0.0, 1.0, 0.0]


def info(**fields: object) -> CameraInfo:
    return CameraInfo(width=640, height=480, distortion_model="plumb_bob", **fields)


def recorded(path: Path, *infos: CameraInfo, topic: str = "/front/camera_info") -> Path:
    messages = [("/front/image_raw/compressed", 0.0, image(0.0))]
    messages += [(topic, 0.1 * row, one) for row, one in enumerate(infos)]
    return make_bag(path, messages)


def test_the_first_usable_calibration_counts(tmp_path: Path) -> None:
    damaged = ("sensor_msgs/msg/CameraInfo", bytes(10))
    with Bag(recorded(tmp_path / "bag", info(), damaged, info(k=K), info(k=[9.0] * 9))) as bag:
        found = calibration_in(bag, "/front/image_raw/compressed")
        assert found == Intrinsics(640, 480, 500.0, 500.0, 320.0, 240.0)
        assert calibration_in(bag, "/front/image_raw") == found
        assert calibration_in(bag, "/rear/image_raw") is None


def test_rectified_images_have_the_projection(tmp_path: Path) -> None:
    path = recorded(tmp_path / "bag", info(k=K, p=P, d=[-0.2, 0.1, 0.0, 0.0, 0.0]))
    with Bag(path) as bag:
        found = calibration_in(bag, "/front/image_rect")
        assert (found.focal_x, found.distortion) == (400.0, ())
        assert calibration_in(bag, "/front/image_raw").distortion[0] == -0.2


def test_a_camera_that_was_never_calibrated_is_said(tmp_path: Path, caplog) -> None:
    with Bag(recorded(tmp_path / "bag", info(), info())) as bag:
        assert calibration_in(bag, "/front/image_raw") is None
    assert "no message of '/front/camera_info' has a calibration" in caplog.text
    assert "(the first: its focal length in K is 0: calibrate the camera)" in caplog.text
