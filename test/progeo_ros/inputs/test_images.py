"""One camera's subscription over DDS: every image is counted, also those that never came."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image

from progeo_core.errors import UsageError
from progeo_ros.inputs.camera_statistics import CameraStatistics
from progeo_ros.inputs.images import Arrival, ImageInput, image_topics
from progeo_ros.settings import NodeSettings
from test.ros_releases import BEFORE_KILTED

Made = tuple[ImageInput, CameraStatistics, list[tuple[str, Arrival]]]


@pytest.fixture
def make(peer) -> Iterator[Callable[..., Made]]:
    made: list[ImageInput] = []

    def create(topic: str, **settings: Any) -> Made:
        statistics, arrivals = CameraStatistics(), list[tuple[str, Arrival]]()

        def deliver(camera: str, arrival: Arrival) -> None:
            arrivals.append((camera, arrival))

        made.append(ImageInput(peer.node, topic, NodeSettings(**settings), statistics, deliver))
        return made[-1], statistics, arrivals

    yield create
    for source in made:
        source.destroy()


@pytest.mark.parametrize(("transport", "kind"), [("raw", Image), ("compressed", CompressedImage)])
def test_images_are_delivered_with_their_topic(peer, make, transport: str, kind: Any) -> None:
    topic = f"/{transport}_camera"
    source, statistics, arrivals = make(topic, image_transport=transport)
    publisher = peer.node.create_publisher(kind, topic, 10)
    peer.wait_for(publisher.get_subscription_count, "the subscription")
    peer.wait_for(lambda: source.count_publishers() == 1, "the publisher")
    message = kind()
    message.header.frame_id = "camera_link"
    publisher.publish(message)
    peer.wait_for(lambda: arrivals, "the image")
    ((camera, arrival),) = arrivals
    assert camera == topic
    assert arrival.message.header.frame_id == "camera_link"
    assert statistics.counts().received == 1


@pytest.mark.skipif(BEFORE_KILTED, reason="Fast DDS of Jazzy does not tell of them")
def test_images_that_newer_ones_push_out_of_the_queue_are_lost(peer, make) -> None:
    _, statistics, arrivals = make("/crowded", image_depth=2, image_reliability="reliable")
    publisher = peer.node.create_publisher(Image, "/crowded", 100)
    peer.wait_for(publisher.get_subscription_count, "the subscription")
    publisher.publish(Image())
    peer.wait_for(lambda: arrivals, "the first image")
    for _ in range(20):
        publisher.publish(Image())
    peer.wait_for(lambda: statistics.counts().lost + statistics.counts().received >= 21)
    counts = statistics.counts()
    assert counts.received == len(arrivals) < 21
    assert counts.lost + counts.received == 21


def test_a_publisher_whose_qos_does_not_match_is_noted(peer, make) -> None:
    _, statistics, _ = make("/shy", image_reliability="reliable")
    best_effort = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
    publisher = peer.node.create_publisher(Image, "/shy", best_effort)
    peer.wait_for(lambda: statistics.counts().incompatible_qos, "the mismatch")
    assert statistics.counts().incompatible_qos == "RELIABILITY"
    peer.node.destroy_publisher(publisher)


def test_topics_are_resolved_and_have_the_suffix_of_the_transport(peer) -> None:
    settings = NodeSettings(cameras=("front", "/rear/image"), image_transport="compressed")
    assert image_topics(peer.node, settings) == ["/front/compressed", "/rear/image/compressed"]


@pytest.mark.parametrize(
    ("cameras", "complaint"),
    [
        ((), "cameras is empty"),
        (("/a", "a"), "names a topic twice: /a, /a"),
        (("/ok", "front cam"), "'front cam': topic name must not contain"),
        (("",), "parameter cameras: ''"),
        (("/a//b",), "'/a//b'"),
    ],
)
def test_names_that_are_none_of_topics_are_one_line(peer, cameras: Any, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint) as said:
        image_topics(peer.node, NodeSettings(cameras=cameras))
    assert "\n" not in str(said.value)
