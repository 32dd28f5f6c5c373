"""The topics on which answers leave the node."""

from __future__ import annotations

import collections
import threading
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseWithCovarianceStamped
from rclpy.lifecycle import LifecycleNode, LifecyclePublisher
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.qos import qos_profile_sensor_data as sensor_data
from sensor_msgs.msg import CompressedImage, NavSatFix
from visualization_msgs.msg import MarkerArray

from progeo_core.images.codec import Image
from progeo_core.localization.answer import Localization
from progeo_core.localization.match_picture import draw_match
from progeo_core.map.place_map import PlaceMap
from progeo_ros.conversions import (
    GeoPoseWithCovarianceStamped,
    fix_message,
    geo_pose_message,
    jpeg_message,
    pose_message,
    status_message,
)
from progeo_ros.outputs.diagnostics import of_node
from progeo_ros.outputs.match_markers import match_markers
from progeo_ros.settings import NodeSettings

# A reader that pauses for some seconds still gets the answer to every image.
_ANSWERS = QoSProfile(depth=100, reliability=ReliabilityPolicy.RELIABLE)
# Poses whose stamps are remembered, so that one that comes back is known.
_REMEMBERED = 1000


class AnswerPublishers:
    """Publishers of answers: poses only where they are accepted, the status of every one."""

    def __init__(self, node: LifecycleNode, settings: NodeSettings) -> None:
        """Create the publishers."""
        self._node = node
        self._map_frame, self._base_frame = settings.map_frame, settings.base_frame
        self._created: list[LifecyclePublisher[Any]] = []
        self._failures = 0
        self._published_ns: collections.deque[int] = collections.deque(maxlen=_REMEMBERED)
        self._lock = threading.Lock()
        self._pose = self._create(PoseWithCovarianceStamped, "~/pose")
        self._status = self._create(DiagnosticArray, "~/status")
        self._markers = self._create(MarkerArray, "~/matches")
        self._match_image = self._create(CompressedImage, "~/match_image", sensor_data)
        # Both are silent on a map without a datum; a reloaded map may have one.
        self._fix = self._create(NavSatFix, "~/fix")
        self._geo_pose = (
            None
            if GeoPoseWithCovarianceStamped is None
            else self._create(GeoPoseWithCovarianceStamped, "~/geo_pose")
        )

    @property
    def failures(self) -> int:
        """Return how many messages the middleware refused."""
        with self._lock:
            return self._failures

    def is_own(self, stamp_ns: int) -> bool:
        """Whether one of the newest poses that were published has this stamp."""
        with self._lock:
            return stamp_ns in self._published_ns

    def publish_pose(self, answer: Localization, camera_frame: str) -> None:
        """Publish where the robot is, if the answer is accepted: nothing else comes before this."""
        if answer.accepted:
            with self._lock:
                self._published_ns.append(answer.stamp_ns)
            self._send(self._pose, pose_message(answer.estimate, answer.stamp_ns, self._map_frame))
            self._publish_geodetic(answer, camera_frame)

    def publish_details(self, answer: Localization, camera_frame: str, latency_ms: float) -> bool:
        """Publish the rest of an answer; return whether its status went out, which is what counts.

        latency_ms: from the image's arrival until its pose was published.
        """
        self._send(self._markers, match_markers(answer, self._map_frame))
        message = status_message(answer, camera_frame, latency_ms)
        message.status = [of_node(self._node, status) for status in message.status]
        return self._send(self._status, message)

    def _publish_geodetic(self, answer: Localization, camera_frame: str) -> None:
        if answer.geodetic is None:
            return
        # Whose position it is: others add the offset of that frame. Places are where the robot
        # was that made the map.
        is_camera = answer.metric is not None and answer.estimate.orientation is None
        self._send(self._fix, fix_message(answer, camera_frame if is_camera else self._base_frame))
        if self._geo_pose is not None:
            self._send(self._geo_pose, geo_pose_message(answer, self._map_frame))

    @property
    def has_viewer(self) -> bool:
        """Whether anyone looks at match images."""
        return bool(self._match_image.get_subscription_count())

    def publish_picture(
        self, query: Image, answer: Localization, camera_frame: str, place_map: PlaceMap
    ) -> None:
        """Publish the query beside the place that explains the answer."""
        place = answer.shown_place
        thumbnail = None if place is None else place_map.thumbnail(place)
        picture = draw_match(query, answer, thumbnail)
        self._send(self._match_image, jpeg_message(picture, answer.stamp_ns, camera_frame))

    def destroy(self) -> None:
        """Remove all publishers from the node."""
        for publisher in self._created:
            self._node.destroy_lifecycle_publisher(publisher)
        self._created.clear()

    def _create(self, kind: Any, topic: str, qos: QoSProfile = _ANSWERS) -> LifecyclePublisher[Any]:
        publisher = self._node.create_lifecycle_publisher(kind, topic, qos)
        self._created.append(publisher)
        return publisher

    def _send(self, publisher: LifecyclePublisher[Any], message: Any) -> bool:
        """Publish one message; count it instead if the middleware refuses."""
        try:
            publisher.publish(message)
        # rclpy's RCLError, which its public modules do not name, is a RuntimeError.
        except RuntimeError as error:
            with self._lock:
                self._failures += 1
            self._node.get_logger().warning(
                f"a message on {publisher.topic_name} was not sent: {error}",
                throttle_duration_sec=5.0,
            )
            return False
        return True
