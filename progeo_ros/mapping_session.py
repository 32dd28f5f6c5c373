"""The node's session: images in, loop closures and a growing map out."""

from __future__ import annotations

import collections
import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus
from nav_msgs.msg import Odometry
from numpy.typing import NDArray
from rclpy.lifecycle import LifecycleNode, LifecyclePublisher
from rclpy.qos import QoSProfile, ReliabilityPolicy
from visualization_msgs.msg import MarkerArray

from progeo_core.descriptors.encoder import Encoder
from progeo_core.errors import DataError, ProgeoError, UsageError, counted
from progeo_core.fleet.robot_fleet import RobotFleet
from progeo_core.geo import Datum
from progeo_core.inference.feature_extractor import shared_extractor
from progeo_core.localization.answer import CameraFrame, Localization
from progeo_core.map.recorder import MapRecorder
from progeo_core.poses.pose_buffer import PoseBuffer
from progeo_core.poses.pose_messages import PoseReading
from progeo_core.slam.keyframes import KeyframeSettings
from progeo_core.slam.loop_closure import LoopClosure, LoopClosureSettings
from progeo_core.slam.session import Session
from progeo_ros.inputs.depth import DepthInput
from progeo_ros.inputs.odometry import OdometryPose
from progeo_ros.inputs.reference import ReferenceInput
from progeo_ros.inputs.transform_reference import TransformReference
from progeo_ros.outputs.diagnostics import SessionHealth, session_status
from progeo_ros.outputs.loop_messages import loop_markers, loop_message
from progeo_ros.settings import NodeSettings
from progeo_ros.tf2_topics import require_tf2

if TYPE_CHECKING:
    from progeo_core.slam.keyframe_views import KeyframeViews
    from progeo_core.verification.view_finder import DepthViewFinder

_log = logging.getLogger(__name__)

# Every closure matters to a back end, also to one that pauses for some seconds.
_CLOSURES = QoSProfile(depth=100, reliability=ReliabilityPolicy.RELIABLE)
_MARKED, _TIMED = 500, 200
_NO_TOPICS: Mapping[str, str] = {}


class SessionOptions(NamedTuple):
    """Settings of keyframes and loop closures."""

    keyframes: KeyframeSettings
    loops: LoopClosureSettings


class MappingSession:
    """Session of a robot that drives; nothing is kept unless mapping or loops are on.

    Images come in the worker's thread, messages and services in the executor's.
    """

    def __init__(
        self,
        node: LifecycleNode,
        settings: NodeSettings,
        options: SessionOptions,
        encoder: Encoder,
        odometry: PoseBuffer,
        depth_topics: Mapping[str, str] = _NO_TOPICS,
        fleet: RobotFleet | None = None,
        datum: Datum | None = None,
    ) -> None:
        """Create the outputs; open the map where mapping is on from the start.

        depth_topics: by the image topic of their camera. fleet: what gets the keyframes, too.
        datum: as `begin` has it.
        """
        self._fleet = fleet
        self._node, self._settings, self._options = node, settings, options
        self._encoder = encoder
        self._extractor = shared_extractor(settings.device, settings.runtime)
        self._session = Session(
            encoder.fingerprint.dimension,
            options.loops,
            options.keyframes,
            odometry,
            self._extractor,
        )
        self._base_frame, self._odometry_frame = settings.base_frame, "odom"
        if settings.mapping_reference == "tf":
            require_tf2("mapping_reference tf")
        self._reference: ReferenceInput | TransformReference | None = None
        self._datum: Datum | None = None
        self._views: KeyframeViews | None = None
        self._depths = {
            topic: DepthInput(node, depth_topic) for topic, depth_topic in depth_topics.items()
        }
        # Where to make a map once the first fix has given it a datum; "" nowhere.
        self._awaiting_fix = ""
        self._fault = ""
        self._marked: collections.deque[LoopClosure] = collections.deque(maxlen=_MARKED)
        self._latency_ms: collections.deque[float] = collections.deque(maxlen=_TIMED)
        if settings.mapping:
            self.begin(settings.map, datum)
        self._created: list[LifecyclePublisher[Any]] = []
        self._closures = self._publisher(Odometry, "~/loop_closure")
        self._markers = self._publisher(MarkerArray, "~/loop_markers")

    @property
    def mapping(self) -> bool:
        """Whether keyframes are written to a map, or will be from the first fix on."""
        return self._session.live_map is not None or bool(self._awaiting_fix)

    @property
    def datum(self) -> Datum | None:
        """Return the datum of the map that is written, None without one."""
        live_map = self._session.live_map
        return None if live_map is None else live_map.datum

    @property
    def written(self) -> tuple[Path | None, int | None]:
        """Return the map that is written, and the id from which on its places are not final."""
        live_map, views = self._session.live_map, self._views
        if live_map is None:
            return None, None
        return live_map.path, None if views is None else views.final_below

    def needs_mount(self, frame: CameraFrame) -> bool:
        """Whether something is lost without the place of a frame's camera on the robot."""
        metric_closures = self._settings.close_loops and self._session.odometry.heard
        return self.makes_landmarks(frame.camera) or (
            metric_closures and frame.intrinsics is not None
        )

    def makes_landmarks(self, topic: str) -> bool:
        """Whether keyframes of a camera get landmarks, for which its pose has to be known."""
        return self.mapping and self._options.keyframes.features > 0 and topic in self._depths

    def start(self) -> None:
        """Subscribe to depth and to the reference, if there are any."""
        for depth in self._depths.values():
            depth.start()
        settings = self._settings
        if settings.mapping_reference == "tf":
            self._reference = TransformReference(
                self._node, settings.map_frame, settings.base_frame, self._on_reference
            )
        elif settings.mapping_reference != "odometry":
            self._reference = ReferenceInput(
                self._node, settings.mapping_reference, self._on_reference
            )

    def stop(self) -> None:
        """Unsubscribe."""
        if self._reference is not None:
            self._reference.destroy()
        self._reference = None
        for depth in self._depths.values():
            depth.stop()

    def destroy(self) -> None:
        """Close the map and remove the publishers, after `stop` and the last image."""
        live_map = self.detach()
        if live_map is not None:
            self.close(live_map)
        for publisher in self._created:
            self._node.destroy_lifecycle_publisher(publisher)
        self._created.clear()

    def note_frames(self, odometry: OdometryPose) -> None:
        """Remember between which frames the odometry is, as closures are published in them."""
        self._base_frame = odometry.child_frame or self._base_frame
        self._odometry_frame = odometry.frame or self._odometry_frame

    def add_image(
        self, frame: CameraFrame, descriptor: NDArray[np.float32], answer: Localization | None
    ) -> None:
        """Add an image with its answer, and publish the closures that it completes."""
        if not (self.mapping or self._settings.close_loops):
            return
        step = self._session.add_image(frame, descriptor, answer)
        if step.keyframe is None:
            return
        self._latency_ms.append(step.seconds * 1e3)
        if self._settings.close_loops and step.closures:
            self._publish(step.closures)

    def begin(self, path: str, datum: Datum | None = None) -> str:
        """Write keyframes to a map from the next image on; return what was done.

        datum: of the map in use. A new map for a fleet starts from it, and its keyframes wait until
        the robot knows where in that map it is. Raises a `ProgeoError` where the map cannot be
        written.
        """
        if self.mapping:
            return f"mapping already: {self._place()}"
        self._fault = ""
        if not path:
            raise UsageError("parameter map is empty: mapping needs a file, map:=NAME.progeo")
        file = Path(path).expanduser()
        if self._settings.mapping_reference == "fix" and not file.exists():
            self._awaiting_fix = path
        else:
            by_odometry = self._settings.mapping_reference == "odometry"
            self._extend(file, datum if by_odometry and self._fleet is not None else None)
        return f"mapping: {self._place()}"

    def detach(self) -> MapRecorder | None:
        """Stop mapping, between two images; return the map, which is to be closed by `close`."""
        self._awaiting_fix = ""
        return self._session.stop_mapping()

    def close(self, live_map: MapRecorder) -> None:
        """Finish a map, with the features of its keyframes, and let others write it."""
        if self._views is not None:
            self._views.finish()
        try:
            live_map.save(self._settings.index_memory_mb)
        except DataError as error:
            _log.warning("the index was not saved: %s", error)
        live_map.close()
        if self._fleet is not None and not live_map.path.exists():
            self._fleet.unshare(live_map.path)

    def save(self) -> str:
        """Bring the files of the map up to date; return what they hold."""
        live_map = self._session.live_map
        if live_map is None:
            raise UsageError("nothing is being mapped: call ~/set_mapping first")
        places = live_map.save(self._settings.index_memory_mb)
        return f"{live_map.path}: {counted(places, 'place')}, {live_map.saved} of this drive"

    def status(self) -> DiagnosticStatus:
        """Return the health of mapping and loop closure."""
        live_map, counts = self._session.live_map, self._session.counts
        latency = np.array(self._latency_ms or [0.0])
        health = SessionHealth(
            mapping=self.mapping,
            close_loops=self._settings.close_loops,
            fault=self._fault or (live_map.fault if live_map else ""),
            keyframes=counts.keyframes,
            saved=live_map.saved if live_map else 0,
            lost=live_map.lost if live_map else 0,
            unplaced=counts.unplaced,
            without_pose=counts.without_pose,
            closures=counts.closures,
            odometry_restarts=self._session.odometry.segment,
            latency_p50_ms=float(np.percentile(latency, 50)),
            latency_p95_ms=float(np.percentile(latency, 95)),
            awaits="the first fix" if self._awaiting_fix else self._unconnected(),
            reference_dropped=0 if self._reference is None else self._reference.dropped,
        )
        if self._views is None:
            return session_status(health)
        views = self._views.counts
        return session_status(
            health._replace(
                with_features=views.saved,
                with_landmarks=views.landmarks,
                features_skipped=views.skipped,
                landmarks_refused=views.refused,
                depth_dropped=views.depth_dropped,
                depth_fault=self._silent_depth() or views.fault,
            )
        )

    def _unconnected(self) -> str:
        """Return which transforms mapping waits for, "" for none."""
        if not (self.mapping and isinstance(self._reference, TransformReference)):
            return ""
        return self._reference.problem and f"transforms: {self._reference.problem}"

    def _silent_depth(self) -> str:
        """Return which depth topic has been silent while mapping, "" where none has."""
        silent = [
            depth.topic
            for topic, depth in self._depths.items()
            if self.makes_landmarks(topic) and not depth.buffer.received
        ]
        return f"no depth comes on {', '.join(silent)}" if silent else ""

    def _extend(self, file: Path, datum: Datum | None) -> None:
        """Open a map for writing; a `ProgeoError` names who else writes it."""
        traverse = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        finder = self._view_finder()
        structure = None if finder is None else finder.note
        live_map = MapRecorder.open(file, self._encoder.fingerprint, traverse, datum, structure)
        by_fix = self._settings.mapping_reference == "fix"
        if by_fix and live_map.datum is None:
            live_map.close()
            raise UsageError(f"{file}: the map has no datum, so fixes have no place in it")
        if self._fleet is not None:
            # Before the first keyframe, so that a kill loses none of them.
            self._fleet.share(live_map.path, live_map.lineage, live_map.last_before)
        self._datum = live_map.datum
        by_reference = self._settings.mapping_reference != "odometry"
        self._views = None if finder is None else self._keyframe_views(live_map, finder)
        self._session.start_mapping(
            live_map,
            by_reference=by_reference,
            views=self._views,
            extends=not by_reference and datum is not None,
        )
        _log.info("mapping into %s, %d places so far", file, live_map.places_before)

    def _view_finder(self) -> DepthViewFinder | None:
        """Return what finds the local features of keyframes, None where none are wanted."""
        if not self._options.keyframes.features:
            return None
        from progeo_core.verification.view_finder import DepthViewFinder

        # Before the first keyframe, as it takes seconds.
        self._extractor.load()
        return DepthViewFinder(self._extractor, self._options.keyframes.features)

    def _keyframe_views(self, live_map: MapRecorder, finder: DepthViewFinder) -> KeyframeViews:
        from progeo_core.slam.keyframe_views import KeyframeViews

        buffers = {topic: depth.buffer for topic, depth in self._depths.items()}
        return KeyframeViews(live_map, finder, buffers)

    def _on_reference(self, reading: PoseReading) -> None:
        if self._settings.mapping_reference != "fix":
            self._session.reference.add(*reading[:3], reading.orientation)
            return
        latitude, longitude, altitude = reading.position
        if self._awaiting_fix:
            path, self._awaiting_fix = self._awaiting_fix, ""
            datum = Datum.checked(latitude, longitude, float(np.nan_to_num(altitude)))
            try:
                self._extend(Path(path).expanduser(), datum)
            except ProgeoError as error:
                self._fault = f"mapping cannot begin: {error}"
                _log.error("%s", self._fault)
        if self._datum is not None:
            self._session.add_fix(reading.stamp_ns, np.array(reading.position), self._datum)

    def _publish(self, closures: tuple[LoopClosure, ...]) -> None:
        self._marked.extend(closures)
        for closure in closures:
            self._send(self._closures, loop_message(closure, self._base_frame))
        self._send(self._markers, loop_markers(self._marked, self._odometry_frame))

    def _send(self, publisher: LifecyclePublisher[Any], message: Any) -> None:
        try:
            publisher.publish(message)
        # rclpy's RCLError, which its public modules do not name, is a RuntimeError.
        except RuntimeError as error:
            _log.warning("a message on %s was not sent: %s", publisher.topic_name, error)

    def _place(self) -> str:
        live_map = self._session.live_map
        return str(live_map.path) if live_map else f"{self._awaiting_fix}, from the first fix on"

    def _publisher(self, kind: Any, topic: str) -> LifecyclePublisher[Any]:
        publisher = self._node.create_lifecycle_publisher(kind, topic, _CLOSURES)
        self._created.append(publisher)
        return publisher
