import pytest
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo

from progeo_core.verification.two_view_geometry import Intrinsics
from progeo_ros.inputs.camera_info import CameraInfoInput, info_topic, read_camera_info


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
        {"distortion_model": "equidistant"},
    ],
)
def test_message_without_a_usable_calibration_is_none(change: dict[str, object]) -> None:
    assert read_camera_info(camera_info(**change), rectified=False) is None


@pytest.mark.parametrize(
    ("image", "info"),
    [("/front/image_raw", "/front/camera_info"), ("/image", "/camera_info")],
)
def test_topic_is_beside_the_images(image: str, info: str) -> None:
    assert info_topic(image) == info


def test_calibration_arrives_over_dds(peer) -> None:
    source = CameraInfoInput(peer.node, "/left/image_rect")
    publisher = peer.node.create_publisher(CameraInfo, "/left/camera_info", qos_profile_sensor_data)
    peer.wait_for(publisher.get_subscription_count, "the subscription")
    publisher.publish(camera_info())
    peer.wait_for(lambda: source.intrinsics is not None, "the calibration")
    assert source.intrinsics.focal_x == 480.0
    source.destroy()
    peer.wait_for(lambda: not publisher.get_subscription_count(), "the end of the subscription")
