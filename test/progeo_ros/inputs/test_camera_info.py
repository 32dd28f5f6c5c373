from collections.abc import Iterator
from typing import Any

import pytest
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo

from progeo_ros.inputs.camera_info import CameraInfoInput

K = [480.0, 0.0, 310.0, 0.0, 490.0, 230.0, 0.0, 0.0, 1.0]


class Driver:
    """A camera driver that publishes its calibration, and the input that listens to it."""

    def __init__(self, peer: Any, topic: str) -> None:
        self._peer = peer
        self.input = CameraInfoInput(peer.node, topic)
        self.publisher = peer.node.create_publisher(
            CameraInfo, "/left/camera_info", qos_profile_sensor_data
        )
        peer.wait_for(self.publisher.get_subscription_count, "the subscription")

    def send(self, **fields: Any) -> None:
        """Publish, and wait until the input has it."""
        before = self.input._newest
        self.publisher.publish(CameraInfo(**{"width": 640, "height": 480, **fields}))
        self._peer.wait_for(lambda: self.input._newest is not before, "the calibration")

    def close(self) -> None:
        self.input.destroy()
        self._peer.wait_for(lambda: not self.publisher.get_subscription_count(), "the end")
        self._peer.node.destroy_publisher(self.publisher)


@pytest.fixture
def driver(peer) -> Iterator[Driver]:
    made = Driver(peer, "/left/image_raw")
    yield made
    made.close()


def test_rectified_images_are_described_by_the_projection(peer) -> None:
    driver = Driver(peer, "/left/image_rect")
    driver.send(p=[480.0, 0.0, 310.0, 0.0, 0.0, 490.0, 230.0, 0.0, 0.0, 0.0, 1.0, 0.0])
    found = driver.input.of_image(640, 480)
    assert found.intrinsics is not None
    assert found.intrinsics.focal_x == 480.0
    driver.close()


def test_what_is_wrong_is_said_until_a_calibration_comes(driver: Driver) -> None:
    silent = driver.input.of_image(640, 480)
    assert (silent.intrinsics, silent.problem) == (None, "nothing comes on /left/camera_info")
    driver.send()
    assert "its focal length in K is 0: calibrate" in driver.input.of_image(640, 480).problem
    driver.send(k=K, d=[0.1] * 6, distortion_model="cylinder")
    assert "model 'cylinder' cannot be used" in driver.input.of_image(640, 480).problem
    driver.send(k=K)
    found = driver.input.of_image(640, 480)
    assert (found.intrinsics.focal_y, found.problem) == (490.0, "")


def test_images_of_another_shape_have_no_calibration(driver: Driver) -> None:
    driver.send(k=K)
    # Half the size has the same field of view, a crop has not.
    assert driver.input.of_image(320, 240).intrinsics is not None
    cropped = driver.input.of_image(640, 360)
    assert cropped.intrinsics is None
    assert "640x480 pixels and does not fit one of 640x360" in cropped.problem


def test_a_calibration_that_changes_counts_from_the_next_image_on(driver: Driver) -> None:
    driver.send(k=K)
    driver.send(width=320, height=240, k=[240.0, *K[1:]])
    found = driver.input.of_image(320, 240)
    assert found.intrinsics is not None
    assert found.intrinsics.focal_x == 240.0
    # A driver that loses its calibration loses that of its images.
    driver.send()
    assert driver.input.of_image(320, 240).intrinsics is None
