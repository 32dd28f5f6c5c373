import math
from array import array
from pathlib import Path

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from hypothesis import given
from hypothesis import strategies as st
from sensor_msgs.msg import CompressedImage, Image, NavSatFix
from std_msgs.msg import Header

from progeo_core.errors import ImageError
from progeo_core.images.codec import read_image
from progeo_core.localization.answer import Localization
from progeo_core.poses.pose_messages import yaw_from_quaternion
from progeo_ros.conversions import (
    fix_message,
    frame_from_message,
    jpeg_message,
    pose_message,
    quaternion_from_yaw,
    stamp_from_ns,
    stamp_to_ns,
    status_message,
)

STAMP_NS = 1_700_000_000_123_456_789


@given(st.integers(0, (2**31 - 1) * 10**9))
def test_stamps_survive_the_round_trip(stamp_ns: int) -> None:
    assert stamp_to_ns(stamp_from_ns(stamp_ns)) == stamp_ns


@given(st.floats(-math.pi, math.pi))
def test_yaw_survives_the_round_trip(yaw_rad: float) -> None:
    turned = yaw_from_quaternion(quaternion_from_yaw(yaw_rad))
    assert math.isclose(math.cos(turned - yaw_rad), 1.0, abs_tol=1e-12)


def test_an_unknown_yaw_is_no_turn() -> None:
    assert quaternion_from_yaw(math.nan).w == 1.0


def test_raw_images_with_row_padding_become_frames(corridor: Path) -> None:
    image = read_image(next((corridor / "query").glob("*.jpg")))
    height, width, _ = image.shape
    padded = np.zeros((height, 3 * width + 5), np.uint8)
    padded[:, : 3 * width] = image[:, :, ::-1].reshape(height, -1)
    message = Image(height=height, width=width, encoding="bgr8", step=3 * width + 5)
    message.header = Header(stamp=stamp_from_ns(STAMP_NS), frame_id="camera_link")
    message.data = array("B", padded.tobytes())
    frame = frame_from_message(message, "/camera/image_raw")
    np.testing.assert_array_equal(frame.image, image)
    assert (frame.stamp_ns, frame.camera) == (STAMP_NS, "/camera/image_raw")


def test_compressed_images_become_frames(corridor: Path) -> None:
    path = next((corridor / "query").glob("*.jpg"))
    message = CompressedImage(format="jpeg", data=array("B", path.read_bytes()))
    message.header.stamp = stamp_from_ns(STAMP_NS)
    np.testing.assert_array_equal(frame_from_message(message, "c").image, read_image(path))


@pytest.mark.parametrize(
    ("stamp", "data", "complaint"),
    [
        (Time(), b"\xff\xd8\xff\xd9", "no stamp"),
        (Time(sec=-5), b"\xff\xd8\xff\xd9", "no stamp"),
        (Time(sec=1), b"", "empty"),
        (Time(sec=1), b"\xff\xd8\xff\xe0 half a JPEG", "truncated"),
    ],
)
def test_unusable_images_are_refused_by_name(stamp: Time, data: bytes, complaint: str) -> None:
    message = CompressedImage(format="jpeg", data=array("B", data))
    message.header.stamp = stamp
    with pytest.raises(ImageError, match=f"/front.*{complaint}"):
        frame_from_message(message, "/front")


def test_poses_carry_the_image_stamp_and_a_full_covariance(answer: Localization) -> None:
    message = pose_message(answer.estimate, answer.stamp_ns, "map")
    assert stamp_to_ns(message.header.stamp) == STAMP_NS
    assert message.header.frame_id == "map"
    covariance = np.array(message.pose.covariance).reshape(6, 6)
    np.testing.assert_array_equal(covariance, answer.estimate.covariance)
    assert np.all(np.diag(covariance) > 0)
    assert message.pose.pose.position.y == 2.0
    assert yaw_from_quaternion(message.pose.pose.orientation) == pytest.approx(0.5)


def test_the_full_orientation_is_published_where_it_is_known(answer: Localization) -> None:
    turn = np.array([0.5, -0.5, 0.1, 0.7])
    message = pose_message(answer.estimate._replace(orientation=turn), answer.stamp_ns, "map")
    said = message.pose.pose.orientation
    assert [said.x, said.y, said.z, said.w] == turn.tolist()


def test_fixes_are_valid_and_carry_the_position_covariance(answer: Localization) -> None:
    message = fix_message(answer, "camera_link")
    assert (message.latitude, message.longitude, message.altitude) == (-27.5, 153.0, 12.0)
    assert message.status.status == message.status.STATUS_FIX
    assert message.position_covariance_type == NavSatFix.COVARIANCE_TYPE_KNOWN
    assert list(message.position_covariance) == [0.25, 0.1, 0, 0.1, 0.5, 0, 0, 0, 1.0]


@pytest.mark.parametrize("accepted", [True, False])
def test_the_status_tells_everything_about_an_answer(answer: Localization, accepted: bool) -> None:
    message = status_message(answer._replace(accepted=accepted), "camera_link", latency_ms=12.5)
    (status,) = message.status
    values = {pair.key: pair.value for pair in status.values}
    assert stamp_to_ns(message.header.stamp) == STAMP_NS
    assert status.name == "/camera/image_raw"
    assert status.level == (status.OK if accepted else status.WARN)
    assert status.message.endswith(": one place stands out: confidence 0.95")
    assert values["accepted"] == str(accepted)
    assert values["matches"] == "7,9"
    assert [float(number) for number in values["similarities"].split(",")] == [1 / 3, 0.25]
    assert len(values["covariance"].split(",")) == 36
    assert float(values["latency_ms"]) == 12.5
    assert (values["method"], values["landmarks"]) == ("place", "0")
    turn = [float(number) for number in values["orientation"].split(",")]
    assert turn == pytest.approx([0.0, 0.0, math.sin(0.25), math.cos(0.25)])
    assert float(values["encode_ms"]) == answer.seconds.encode * 1e3


def test_pictures_are_jpeg(corridor: Path) -> None:
    image = read_image(next((corridor / "query").glob("*.jpg")))
    message = jpeg_message(image, STAMP_NS, "camera_link")
    assert message.format == "jpeg"
    message.header.stamp = stamp_from_ns(STAMP_NS)
    assert frame_from_message(message, "").image.shape == image.shape


def test_image_larger_than_the_limit_is_refused_before_it_is_decoded():
    raw = Image(height=480, width=640, encoding="mono8", step=640)
    raw.header.stamp.sec = 1
    raw.data = array("B", bytes(480 * 640))
    assert frame_from_message(raw, "/front", 480 * 640).image.shape == (480, 640, 3)
    with pytest.raises(ImageError, match="too many"):
        frame_from_message(raw, "/front", 480 * 640 - 1)
    compressed = jpeg_message(np.zeros((480, 640, 3), np.uint8), 10**9, "camera")
    with pytest.raises(ImageError, match="too many"):
        frame_from_message(compressed, "/front", 1000)
