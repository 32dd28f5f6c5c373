"""Words in, places of the map that look like them out: `~/find_place` and `~/found_places`."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from geometry_msgs.msg import Point, Pose, PoseArray
from rclpy.qos import QoSProfile
from std_msgs.msg import String

from progeo_core.errors import ProgeoError, UsageError
from progeo_core.localization.find_places import (
    SCHEMA,
    FoundPlace,
    FoundPlaces,
    WordFinder,
    found_document,
)
from progeo_core.map.place_map import PlaceMap
from progeo_ros.conversions import quaternion_from_yaw
from progeo_ros.inputs.latest_frame import LatestFrameWorker
from progeo_ros.process.guarded_node import GuardedLifecycleNode

_log = logging.getLogger(__name__)
_TOPIC = "~/find_place"
_QOS = QoSProfile(depth=10)
# Places of an answer at most.
_COUNT = 5


class PlaceFinder:
    """Topics that find places by words; the text side of the model loads with the first words.

    A thread of its own answers the newest words, so that no image waits for them.
    """

    def __init__(
        self,
        node: GuardedLifecycleNode,
        map_frame: str,
        model: str,
        map_path: Callable[[], Path | None],
    ) -> None:
        """Create the outputs. model: as `load_encoder` takes it. map_path: of the map in use."""
        self._node, self._map_frame = node, map_frame
        self._model, self._map_path = model, map_path
        self._finder: WordFinder | None = None
        self._without_words = ""
        self._subscription: Any = None
        self._places = node.create_lifecycle_publisher(PoseArray, "~/found_places", _QOS)
        self._documents = node.create_lifecycle_publisher(String, "~/found_places_json", _QOS)
        self._worker: LatestFrameWorker[str] = LatestFrameWorker(
            node.callback_failures.guard(self._answer),
            lambda _: _log.warning("words are not answered: newer ones have come"),
        )

    def start(self) -> None:
        """Subscribe to words."""
        self._subscription = self._node.create_subscription(
            String, _TOPIC, lambda message: self._worker.put(_TOPIC, message.data), _QOS
        )

    def stop(self) -> None:
        """Unsubscribe, and finish the words at work."""
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
        self._subscription = None
        self._worker.flush()

    def destroy(self) -> None:
        """End the thread and remove the outputs, after `stop`."""
        self._worker.stop()
        for publisher in (self._places, self._documents):
            self._node.destroy_lifecycle_publisher(publisher)

    def _answer(self, _: str, words: str) -> None:
        path = self._map_path()
        message = PoseArray()
        message.header.frame_id = self._map_frame
        try:
            found = self._find(path, words)
        except ProgeoError as error:
            document = {"schema": SCHEMA, "map": str(path or ""), "words": words}
            document |= {"error": str(error)}
        else:
            assert path is not None
            document = found_document(found, path, words)
            message.poses = [_pose(place) for place in found.places if found.here]
        message.header.stamp = self._node.get_clock().now().to_msg()
        self._places.publish(message)
        self._documents.publish(String(data=json.dumps(document)))

    def _find(self, path: Path | None, words: str) -> FoundPlaces:
        if path is None:
            raise UsageError("there is no map yet: map first, or load one")
        finder = self._text_side()
        # Another reader than that of the images, which may be closed for another map meanwhile.
        with PlaceMap.open(path) as place_map:
            return finder.find(place_map, words, _COUNT)

    def _text_side(self) -> WordFinder:
        """Return the text side; where the model has none, that is said in the log once."""
        if self._without_words:
            raise UsageError(self._without_words)
        if self._finder is None:
            from progeo_core.model.word_encoder import load_word_encoder

            try:
                self._finder = WordFinder(load_word_encoder(self._model))
            except ProgeoError as error:
                self._without_words = f"places cannot be found by words: {error}"
                _log.warning("%s", self._without_words)
                raise UsageError(self._without_words) from error
        return self._finder


def _pose(place: FoundPlace) -> Pose:
    x, y, z = place.position.tolist()
    return Pose(position=Point(x=x, y=y, z=z), orientation=quaternion_from_yaw(place.yaw_rad))
