"""A bag's images as a camera sends them."""

from pathlib import Path

import numpy as np
import pytest
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from progeo_core.bags.writer import COMPRESSED_IMAGE_TOPIC, IMAGE_TOPIC, POSE_TOPIC, write_bag
from progeo_core.errors import DataError
from progeo_core.images.intrinsics import Intrinsics, read_camera_info
from progeo_core.records.records import Records, read_records
from progeo_ros.conversions import stamp_to_ns
from progeo_ros.process.rclpy_versions import SubscriptionEventCallbacks
from progeo_ros.replay.bag_player import BagPlayer


@pytest.fixture(scope="module")
def records(corridor: Path) -> Records:
    return read_records(corridor / "query.csv").select(np.arange(5))


def test_a_listener_that_asks_for_all_images_is_no_warning(
    peer, tmp_path: Path, records: Records, capfd: pytest.CaptureFixture[str]
) -> None:
    write_bag(tmp_path / "bag", records.select(slice(0, 2)))
    BagPlayer(peer.node, tmp_path / "bag", IMAGE_TOPIC)
    mismatches: list[object] = []
    events = SubscriptionEventCallbacks(incompatible_qos=mismatches.append)
    peer.node.create_subscription(Image, IMAGE_TOPIC, print, 10, event_callbacks=events)
    peer.wait_for(lambda: mismatches, "the middleware to find both")
    assert "incompatible QoS" not in capfd.readouterr().err


@pytest.mark.parametrize("compressed", [False, True])
def test_every_image_goes_out_as_it_was_recorded(
    peer, tmp_path: Path, records: Records, compressed: bool
) -> None:
    topic = COMPRESSED_IMAGE_TOPIC if compressed else IMAGE_TOPIC
    write_bag(tmp_path / "bag", records, compressed=compressed, rate_hz=50.0)
    player = BagPlayer(peer.node, tmp_path / "bag", topic)
    # What the node's parameters say for it to listen.
    assert player.image_transport == ("compressed" if compressed else "raw")
    assert player.camera == IMAGE_TOPIC
    assert player.published_topic == topic
    assert player.count == 5
    assert not player.has_listener()
    kind = CompressedImage if compressed else Image
    received = peer.collect(kind, topic, qos_profile_sensor_data)
    peer.wait_for(player.has_listener, "the subscription")
    sent = list(player.play())
    peer.wait_for(lambda: len(received) == len(sent) - player.refused, "the images")
    assert [one.stamp_ns for one in sent] == [stamp_to_ns(one.header.stamp) for one in received]
    gaps_s = np.diff([one.sent_ns for one in sent]) / 1e9
    # At the pace of the bag, or later on a busy machine.
    assert gaps_s.sum() >= 0.9 * 4 / 50.0


def test_the_calibration_goes_out_beside_every_image(
    peer, tmp_path: Path, records: Records
) -> None:
    write_bag(tmp_path / "bag", records, rate_hz=50.0)
    camera = Intrinsics(160, 120, 150.0, 151.0, 80.0, 60.0, (0.1, 0.0, 0.0, 0.0))
    player = BagPlayer(peer.node, tmp_path / "bag", IMAGE_TOPIC, camera)
    images = peer.collect(Image, IMAGE_TOPIC, qos_profile_sensor_data)
    infos = peer.collect(CameraInfo, "/camera/camera_info", qos_profile_sensor_data)
    peer.wait_for(player.has_listener, "the subscriptions")
    list(player.play())
    peer.wait_for(lambda: len(images) == len(infos) == 5, "images and calibrations")
    assert read_camera_info(infos[0], rectified=False) == camera
    assert [one.header.stamp for one in infos] == [one.header.stamp for one in images]


def test_playing_stops_when_it_is_told_to(peer, tmp_path: Path, records: Records) -> None:
    write_bag(tmp_path / "bag", records, rate_hz=0.01)
    player = BagPlayer(peer.node, tmp_path / "bag", IMAGE_TOPIC)
    images = player.play()
    next(images)
    player.stop()
    assert list(images) == []


def test_a_topic_without_images_is_answered_with_those_there_are(
    peer, tmp_path: Path, records: Records
) -> None:
    write_bag(tmp_path / "bag", records)
    for topic in (POSE_TOPIC, "/nobody"):
        with pytest.raises(DataError, match=f"'{topic}' is not an image topic.*: {IMAGE_TOPIC}$"):
            BagPlayer(peer.node, tmp_path / "bag", topic)
