"""Answers that leave a lifecycle node: all of them in diagnostics, the accepted ones as poses."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseWithCovarianceStamped
from rclpy.lifecycle import LifecycleNode
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CompressedImage, NavSatFix
from visualization_msgs.msg import MarkerArray

from progeo_core.images.codec import decode_image, read_image
from progeo_core.localization.answer import Localization
from progeo_core.localization.match_picture import draw_match
from progeo_core.map.place_map import PlaceMap
from progeo_core.poses.camera_pose import CameraPose
from progeo_core.records.records import Records
from progeo_core.verification.metric_localizer import MetricPose, SeenPlace
from progeo_ros.outputs.answers import AnswerPublishers
from progeo_ros.settings import NodeSettings

NUMBERS = itertools.count()


@pytest.fixture
def node(dds_domain) -> Iterator[LifecycleNode]:
    del dds_domain
    # Under a new name, as subscriptions to earlier ones remain.
    made = LifecycleNode(f"answering_{next(NUMBERS)}")
    yield made
    made.destroy_node()


@pytest.fixture
def publishers(node: LifecycleNode) -> Iterator[AnswerPublishers]:
    created = AnswerPublishers(node, NodeSettings())
    node.trigger_configure()
    node.trigger_activate()
    yield created
    created.destroy()


def test_only_accepted_answers_are_poses_and_fixes(
    peer, node: LifecycleNode, publishers: AnswerPublishers, answer: Localization
) -> None:
    poses = peer.collect(PoseWithCovarianceStamped, f"{node.get_name()}/pose")
    fixes = peer.collect(NavSatFix, f"{node.get_name()}/fix")
    statuses = peer.collect(DiagnosticArray, f"{node.get_name()}/status")
    markers = peer.collect(MarkerArray, f"{node.get_name()}/matches")
    for topic in ("pose", "fix", "status", "matches"):
        peer.wait_for(
            lambda topic=topic: node.count_subscribers(f"{node.get_name()}/{topic}") == 1, topic
        )
    rejected = answer._replace(accepted=False, stamp_ns=answer.stamp_ns - 1)
    local = answer._replace(geodetic=None)
    for one in (rejected, local, answer):
        publishers.publish_pose(one, "camera_link")
        assert publishers.publish_details(one, "camera_link", latency_ms=5.0)
    peer.wait_for(lambda: len(statuses) == len(markers) == 3 and fixes, "every answer")
    assert (len(poses), len(fixes)) == (2, 1)
    assert statuses[0].status[0].name == f"{node.get_name()}: /camera/image_raw"
    # A place is where the robot was; landmarks tell the camera, until its mount makes it the robot.
    assert fixes[0].header.frame_id == "base_link"
    pose = CameraPose(np.zeros(3), np.array([0.0, 0.0, 0.0, 1.0]))
    metric = answer._replace(metric=MetricPose(pose, np.eye(6), 50, (1, 2)))
    turned = answer.estimate._replace(orientation=np.array([0.0, 0.0, 0.6, 0.8]))
    for one in (metric, metric._replace(estimate=turned)):
        publishers.publish_pose(one, "camera_link")
    peer.wait_for(lambda: len(fixes) == 3, "the fixes by landmarks")
    assert [fix.header.frame_id for fix in fixes[1:]] == ["camera_link", "base_link"]
    assert publishers.failures == 0


def test_match_images_are_made_for_those_who_look(
    peer,
    node: LifecycleNode,
    publishers: AnswerPublishers,
    answer: Localization,
    corridor_map: Path,
    places: Records,
) -> None:
    assert not publishers.has_viewer
    pictures = peer.collect(
        CompressedImage, f"{node.get_name()}/match_image", qos_profile_sensor_data
    )
    peer.wait_for(lambda: publishers.has_viewer, "the viewer")
    query = read_image(places.images[0])
    with PlaceMap.open(corridor_map) as place_map:
        match = answer.matches[0]._replace(place_id=int(place_map.places().ids[0]))
        publishers.publish_picture(
            query, answer._replace(matches=(match,)), "camera_link", place_map
        )
    peer.wait_for(lambda: pictures, "the picture")
    drawn = decode_image(bytes(pictures[0].data), "picture")
    assert drawn.shape[1] > drawn.shape[0]


def test_a_full_pose_is_explained_by_the_place_of_its_landmarks(
    peer,
    node: LifecycleNode,
    publishers: AnswerPublishers,
    answer: Localization,
    corridor_map: Path,
    places: Records,
) -> None:
    pictures = peer.collect(
        CompressedImage, f"{node.get_name()}/match_image", qos_profile_sensor_data
    )
    peer.wait_for(lambda: publishers.has_viewer, "the viewer")
    query = read_image(places.images[0])
    points = np.array([[0.2, 0.4], [0.7, 0.8]], np.float32)
    pose = CameraPose(np.zeros(3), np.array([0.0, 0.0, 0.0, 1.0]))
    with PlaceMap.open(corridor_map) as place_map:
        last = int(place_map.places().ids[-1])
        best = SeenPlace(last, points, points)
        full = answer._replace(metric=MetricPose(pose, np.eye(6), 60, (last,), best))
        publishers.publish_picture(query, full, "camera_link", place_map)
        expected = draw_match(query, full, place_map.thumbnail(last)).astype(float)
    peer.wait_for(lambda: pictures, "the picture")
    drawn = decode_image(bytes(pictures[0].data), "picture").astype(float)
    assert np.abs(drawn - expected).mean() < 4.0


def test_an_inactive_node_publishes_nothing(
    peer, node: LifecycleNode, publishers: AnswerPublishers, answer: Localization
) -> None:
    poses = peer.collect(PoseWithCovarianceStamped, f"{node.get_name()}/pose")
    peer.wait_for(
        lambda: node.count_subscribers(f"{node.get_name()}/pose") == 1, "the subscription"
    )
    node.trigger_deactivate()
    publishers.publish_pose(answer, "camera_link")
    node.trigger_activate()
    publishers.publish_pose(answer._replace(stamp_ns=7), "camera_link")
    peer.wait_for(lambda: poses, "the pose of the active node")
    assert [pose.header.stamp.nanosec for pose in poses] == [7]
