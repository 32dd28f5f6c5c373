"""From image messages to published answers: what the node has while it is configured."""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import NamedTuple

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus
from numpy.typing import NDArray

from progeo_core.descriptors.encoder import Encoder
from progeo_core.errors import ProgeoError, UsageError, counted
from progeo_core.fleet.robot_fleet import RobotFleet
from progeo_core.images.codec import Image
from progeo_core.inference.loading import load_encoder
from progeo_core.localization.answer import CameraFrame, Localization
from progeo_core.poses.pose_buffer import BufferedPose, PoseBuffer
from progeo_ros.conversions import frame_from_message
from progeo_ros.first_map import first_map
from progeo_ros.inputs.camera_info import CameraInfoInput, ImageCalibration
from progeo_ros.inputs.camera_mounts import CameraMounts, given_extrinsics, one_per_camera
from progeo_ros.inputs.camera_statistics import CameraStatistics
from progeo_ros.inputs.images import Arrival, ImageInput, image_topics
from progeo_ros.inputs.initial_pose import InitialPose, InitialPoseInput
from progeo_ros.inputs.latest_frame import LatestFrameWorker
from progeo_ros.inputs.odometry import OdometryInput, OdometryPose
from progeo_ros.loaded_map import LoadedMap, LocalizerOptions
from progeo_ros.mapping_session import MappingSession, SessionOptions
from progeo_ros.outputs.answers import AnswerPublishers
from progeo_ros.outputs.diagnostics import camera_status
from progeo_ros.outputs.map_markers import MapMarkers
from progeo_ros.outputs.map_to_odom import MapToOdom
from progeo_ros.place_finder import PlaceFinder
from progeo_ros.process.guarded_node import GuardedLifecycleNode
from progeo_ros.settings import NodeSettings

_log = logging.getLogger(__name__)
# A warning about what stays wrong comes again after this long (s).
_TOLD_S = 60.0


class _Seen(NamedTuple):
    """What a match image is made of."""

    image: Image
    answer: Localization
    camera_frame: str


class Pipeline:
    """Path from the images of all cameras to answers.

    on_image → LatestFrameWorker → Localizer.localize → publish, then the session that maps and
    closes loops. `start` and `stop` it any number of times, then `close` it.
    """

    def __init__(
        self,
        node: GuardedLifecycleNode,
        settings: NodeSettings,
        options: LocalizerOptions,
        session_options: SessionOptions,
        fleet: RobotFleet | None = None,
    ) -> None:
        """Load map and model and create the outputs; a `ProgeoError` says what is missing.

        Without a map with places there is no localizer until one was mapped.
        """
        self._node, self._settings, self._options = node, settings, options
        # The one buffer that localizer, session and tf read.
        self.odometry = PoseBuffer()
        self._max_pixels = round(settings.max_image_megapixels * 1e6)
        self.topics = image_topics(node, settings)
        extrinsics = given_extrinsics(settings, self.topics)
        depth_topics = one_per_camera("depth_topics", settings.depth_topics, self.topics)
        self._map_to_odom = (
            MapToOdom(node, settings.map_frame, settings.transform_tolerance)
            if settings.publish_map_to_odom
            else None
        )
        model = self._load(session_options, depth_topics, fleet)
        self._mounts = CameraMounts(node, settings.base_frame, extrinsics, len(self.topics))
        self.publishers = AnswerPublishers(node, settings)
        self._finder = PlaceFinder(node, settings.map_frame, model, self._map_path)
        self._markers = MapMarkers(node, settings.map_frame)
        self.statistics = {topic: CameraStatistics() for topic in self.topics}
        self._images: list[ImageInput] = []
        self._calibrations: dict[str, CameraInfoInput] = {}
        self._odometry_input: OdometryInput | None = None
        self._initial_pose: InitialPoseInput | None = None
        self._newest: tuple[str, Arrival] | None = None
        self._seen_at: tuple[float, float, float] | None = None
        guard = node.callback_failures.guard
        self._painter: LatestFrameWorker[_Seen] = LatestFrameWorker(
            guard(self._paint), lambda topic: None
        )
        self._worker: LatestFrameWorker[Arrival] = LatestFrameWorker(
            guard(self._answer), lambda topic: self.statistics[topic].count_dropped()
        )

    def _load(
        self,
        session_options: SessionOptions,
        depth_topics: Mapping[str, str],
        fleet: RobotFleet | None,
    ) -> str:
        """Load what answers and maps; return what the model was loaded by."""
        # The map first: a wrong path is found at once, a model takes seconds to load.
        settings = self._settings
        path, model, datum = first_map(settings, fleet)
        self._encoder = load_encoder(
            model, settings.device, settings.runtime, trust_code=settings.trust_code
        )
        if fleet is not None:
            fleet.require_model(self._encoder.fingerprint)
        self.session = MappingSession(
            self._node,
            settings,
            session_options,
            self._encoder,
            self.odometry,
            depth_topics,
            fleet,
            datum,
        )
        try:
            self.loaded = self._open_map(path) if path else None
        except BaseException:
            self.session.destroy()
            raise
        _warm_up(self._encoder)
        return model

    @property
    def model(self) -> str:
        """Return the name of the model with its fingerprint."""
        return str(self._encoder.fingerprint)

    @property
    def odometry_dropped(self) -> int:
        """Return how many odometry messages could not be used."""
        return 0 if self._odometry_input is None else self._odometry_input.dropped

    def start(self) -> None:
        """Subscribe to odometry and cameras; counts begin at zero."""
        self._show_map()
        self._finder.start()
        self._initial_pose = InitialPoseInput(
            self._node, self._settings.map_frame, self._start_at, self.publishers.is_own
        )
        self.statistics = {topic: CameraStatistics() for topic in self.topics}
        self._odometry_input = OdometryInput(self._node, self._on_odometry)
        self.session.start()
        self._calibrations = {
            topic: CameraInfoInput(self._node, self._node.resolve_topic_name(camera))
            for topic, camera in zip(self.topics, self._settings.cameras, strict=True)
        }
        self._images = [
            ImageInput(self._node, topic, self._settings, self.statistics[topic], self._take)
            for topic in self.topics
        ]

    def stop(self) -> None:
        """Unsubscribe, finish the image at work and count those that waited as dropped."""
        for image_input in self._images:
            image_input.destroy()
        for one in (self._odometry_input, self._initial_pose):
            if one is not None:
                one.destroy()
        self._images, self._odometry_input, self._initial_pose = [], None, None
        self._newest = None
        self.session.stop()
        self._worker.flush()
        for calibration in self._calibrations.values():
            calibration.destroy()
        self._calibrations = {}
        self._painter.flush()
        self._finder.stop()

    def close(self) -> None:
        """Stop, and give back thread, publishers and map."""
        self.stop()
        self._worker.stop()
        self._painter.stop()
        self.publishers.destroy()
        self._finder.destroy()
        self._markers.destroy()
        if self._map_to_odom is not None:
            self._map_to_odom.destroy()
        self.session.destroy()
        self._mounts.destroy()
        if self.loaded is not None:
            self.loaded.place_map.close()

    def camera_statuses(self, timeout_s: float) -> list[DiagnosticStatus]:
        """Return the health of every camera; silence of `timeout_s` is a warning."""
        publishers = {item.topic: item.count_publishers() for item in self._images}
        silence = {item.topic: item.explain_silence(timeout_s) for item in self._images}
        return [
            camera_status(
                topic,
                statistics.counts(),
                publishers=publishers.get(topic),
                timeout_s=timeout_s,
                silence=silence.get(topic, ""),
            )
            for topic, statistics in self.statistics.items()
        ]

    def adopt(self, options: LocalizerOptions) -> None:
        """Use other settings from the next image on."""
        self._worker.call(lambda: self._set_options(options)).add_done_callback(_log_failure)

    def reload_map(self, path: str) -> int:
        """Open a map in place of the present one; return its number of places.

        The present map stays in use where the new one raises a `ProgeoError`. Images that come
        meanwhile are superseded by the newest of them and count as dropped.
        """
        return self._worker.call(lambda: self._replace_map(path)).result()

    def position(self) -> tuple[float, float, float] | None:
        """Return latitude and longitude (degrees), altitude (m) of the robot now, None unknown."""
        loaded = self.loaded
        position = None if loaded is None else loaded.stream.position_now()
        if loaded is None or position is None:
            return self._seen_at
        return loaded.prepared.geodetic(position)

    def exchange_map(self, path: Path) -> int:
        """Go on in the map of another region from the next image on; return its places.

        It is opened and measured in the caller's thread, while images are answered from the present
        one, which stays in use where the new one raises a `ProgeoError`.
        """
        options = self._options
        fresh = self._open(str(path), options)
        places = self._worker.call(lambda: self._exchange(fresh, options)).result()
        self._show_map()
        return places

    def try_map(self, path: Path) -> Localization:
        """Return the answer of a map to the newest image by itself; go on in it if it is accepted.

        Raises a `ProgeoError` where there is no image, or the map cannot be opened.
        """
        newest, options = self._newest_image(), self._options
        fresh = self._open(str(path), options)
        alone = dataclasses.replace(options.localizer, sequence=False)
        probe = fresh.with_options(self._encoder, options._replace(localizer=alone))

        def answer() -> Localization:
            found = probe.localizer.localize(self._frame_of(*newest)[0])
            if found.accepted:
                self._exchange(fresh, options)
                self._follow_answer(found)
            return found

        try:
            found = self._worker.call(answer).result()
        except BaseException:
            fresh.place_map.close()
            raise
        if found.accepted:
            self._show_map()
        else:
            fresh.place_map.close()
        return found

    def describe_newest(self) -> NDArray[np.float32]:
        """Return the descriptor [D] of the newest image; `UsageError` where there is none."""
        newest = self._newest_image()
        return self._worker.call(lambda: self._encode(self._frame_of(*newest)[0])).result()

    def begin_mapping(self, path: str) -> str:
        """Write keyframes to a map from the next image on; return what was done.

        Raises a `ProgeoError` where the map cannot be written.
        """
        loaded = self.loaded
        return self.session.begin(path, None if loaded is None else loaded.place_map.datum)

    def finish_mapping(self) -> str:
        """End mapping and localize in the map from now on; return what was done.

        Raises a `ProgeoError` where the map cannot be opened.
        """
        written = self._worker.call(self.session.detach).result()
        if written is None:
            return "nothing was mapped"
        places = written.places_before + written.saved
        self.session.close(written)
        if not places:
            return "nothing was mapped"
        path = str(written.path)
        return f"{path}: {counted(self.reload_map(path), 'place')}, in use from now on"

    def forget(self) -> str:
        """Forget what earlier images said, the next one may be from anywhere; return what was done.

        Without a sequence there is nothing to forget.
        """
        self._worker.call(self._reset).result()
        if self.loaded is None or not self.loaded.localizer.settings.sequence:
            return "nothing to forget: every image is answered by itself (localizer.sequence)"
        return "earlier images are forgotten"

    def localize_newest(self) -> Localization:
        """Return the answer to the newest image, which is not published or counted once more.

        Raises a `ProgeoError` where there is no image, no map, or the image cannot be used.
        """
        newest = self._newest_image()
        if self.loaded is None:
            raise UsageError("there is no map yet: map first, or load one")
        answer = self._worker.call(lambda: self._answer_to(*newest)[1]).result()
        assert answer is not None
        return answer

    def _newest_image(self) -> tuple[str, Arrival]:
        newest = self._newest
        if newest is None:
            raise UsageError("no image has come yet: is the node active, and its camera on?")
        return newest

    def _suit_cameras(self, loaded: LoadedMap) -> LoadedMap:
        """Return a map whose localizer follows several cameras only if the map has several, too."""
        localizer = loaded.localizer
        localizer.settings = self._options.localizer
        if len(self.topics) > 1 and not localizer.maps_several_cameras:
            if localizer.settings.sequence:
                _log.warning(
                    "localizer.sequence follows one camera on a map with the images of one: images"
                    " are answered by themselves; name one camera, or build a map with the images"
                    " of all of them"
                )
            localizer.settings = dataclasses.replace(localizer.settings, sequence=False)
        return loaded

    def _reset(self) -> None:
        if self.loaded is not None:
            self.loaded.forget()

    def _set_options(self, options: LocalizerOptions) -> None:
        before, self._options = self._options, options
        if self.loaded is None:
            return
        if before[1:] == options[1:]:
            self._suit_cameras(self.loaded)
        else:
            # The filter and the place radius are made from these; the map stays prepared.
            self.loaded = self._suit_cameras(self.loaded.with_options(self._encoder, options))

    def _open_map(self, path: str) -> LoadedMap:
        return self._suit_cameras(self._open(path, self._options))

    def _open(self, path: str, options: LocalizerOptions) -> LoadedMap:
        return LoadedMap.open(path, self._encoder, options, self._settings, self.odometry)

    def _exchange(self, fresh: LoadedMap, options: LocalizerOptions) -> int:
        """Go on in a map that was opened with options, between two images."""
        if options[1:] != self._options[1:]:
            fresh = fresh.with_options(self._encoder, self._options)
        self._suit_cameras(fresh)
        stale = self.loaded
        self.loaded = fresh if stale is None else fresh.continuing(stale)
        if stale is not None:
            stale.place_map.close()
        return fresh.places

    def _follow_answer(self, found: Localization) -> None:
        """Follow on from an accepted answer to a single image."""
        loaded, estimate = self.loaded, found.estimate
        self._reset()
        self._seen_at = found.geodetic
        if loaded is not None and loaded.localizer.settings.sequence:
            x, y, _ = estimate.position
            axes = np.ix_([0, 1, 5], [0, 1, 5])
            loaded.start_at(np.array([x, y, estimate.yaw_rad]), estimate.covariance[axes])

    def _replace_map(self, path: str) -> int:
        fresh = self._open_map(path)
        stale, self.loaded = self.loaded, fresh
        if stale is not None:
            stale.place_map.close()
        self._show_map()
        return fresh.places

    def _map_path(self) -> Path | None:
        loaded = self.loaded
        return None if loaded is None else loaded.place_map.path

    def _show_map(self) -> None:
        if self.loaded is not None:
            self._markers.publish(self.loaded.prepared.places)

    def _start_at(self, given: InitialPose) -> None:
        """Follow on from a pose that somebody gave, between two images."""
        guarded = self._node.callback_failures.guard(self._follow_from)
        self._worker.call(lambda: guarded(given))

    def _follow_from(self, given: InitialPose) -> None:
        try:
            if self.loaded is None:
                raise UsageError("there is no map yet")
            self._node.get_logger().info(self.loaded.start_at(given.pose, given.covariance))
        except ProgeoError as error:
            self._node.get_logger().warning(f"initialpose is not used: {error}")

    def _on_odometry(self, odometry: OdometryPose) -> None:
        """Add a pose of the odometry, in the executor's thread."""
        self.odometry.add(
            odometry.stamp_ns, odometry.position, odometry.yaw_rad, odometry.orientation
        )
        self.session.note_frames(odometry)
        if self._map_to_odom is not None:
            self._lead(self._map_to_odom, odometry)

    def _lead(self, map_to_odom: MapToOdom, odometry: OdometryPose) -> None:
        """Broadcast the next step of tf map → odom towards the latest answer."""
        loaded = self.loaded
        if loaded is not None:
            robot = BufferedPose(np.array(odometry.position), odometry.yaw_rad, 0)
            origin = loaded.stream.origin_at(odometry.stamp_ns, robot)
            if origin is not None:
                map_to_odom.place(origin)
        map_to_odom.broadcast(odometry)

    def _take(self, topic: str, arrival: Arrival) -> None:
        """Hand an image to the worker, in the executor's thread."""
        self._newest = topic, arrival
        self._worker.put(topic, arrival)

    def _answer(self, topic: str, arrival: Arrival) -> None:
        """Answer one image, in the worker's thread; every end of this is counted."""
        statistics = self.statistics[topic]
        try:
            camera_frame = arrival.message.header.frame_id
            frame, answer = self._answer_to(topic, arrival)
            descriptor = self._encode(frame) if answer is None else answer.descriptor
            followed = None if answer is None else self._follow(answer)
            sent, latency_ms = self._publish(followed, camera_frame, arrival.at_s)
        except ProgeoError as error:
            self._fail(statistics, str(error))
        except Exception as error:
            _log.exception("an image of %s could not be answered", topic)
            self._fail(statistics, f"{type(error).__name__}: {error}")
        else:
            if sent:
                statistics.count_answered(
                    latency_ms,
                    accepted=answer is not None and answer.accepted,
                    metric=answer is not None and answer.method == "metric",
                )
            else:
                self._fail(statistics, "the answer could not be published")
            self.session.add_image(frame, descriptor, self._in_written_map(answer))
            if followed is not None:
                if followed.accepted:
                    self._seen_at = followed.geodetic
                self._after_answer(frame, followed, camera_frame)

    def _in_written_map(self, answer: Localization | None) -> Localization | None:
        """Return an answer if its metres are those of the map that is written, too."""
        if self.loaded is None or self.session.datum != self.loaded.place_map.datum:
            return None
        return answer

    def _follow(self, answer: Localization) -> Localization:
        return answer if self.loaded is None else self.loaded.follow(answer)

    def _publish(
        self, answer: Localization | None, camera_frame: str, at_s: float
    ) -> tuple[bool, float]:
        """Publish an answer; return whether it went out, and the ms from its image's arrival.

        Nothing comes before the pose, but for the news that it does not follow on from the last.
        """
        if answer is not None and not answer.relocalized:
            self.publishers.publish_pose(answer, camera_frame)
        latency_ms = (time.perf_counter() - at_s) * 1e3
        if answer is None:
            return True, latency_ms
        sent = self.publishers.publish_details(answer, camera_frame, latency_ms)
        if answer.relocalized:
            self.publishers.publish_pose(answer, camera_frame)
        return sent, latency_ms

    def _answer_to(self, topic: str, arrival: Arrival) -> tuple[CameraFrame, Localization | None]:
        """Return an image and the answer to it; a `ProgeoError` where it cannot be used."""
        frame, problem = self._frame_of(topic, arrival)
        return frame, self._localize(frame, problem, arrival.message.header.frame_id)

    def _frame_of(self, topic: str, arrival: Arrival) -> tuple[CameraFrame, str]:
        """Return an image with what is known of its camera, and why it has no calibration."""
        camera_frame = arrival.message.header.frame_id
        frame = frame_from_message(arrival.message, topic, self._max_pixels)
        calibration = self._calibration(topic, frame.image)
        frame = frame._replace(
            intrinsics=calibration.intrinsics, extrinsics=self._mounts.of(topic, camera_frame)
        )
        return frame, calibration.problem

    def _localize(self, frame: CameraFrame, problem: str, camera_frame: str) -> Localization | None:
        """Return the answer to an image, as a pose of the robot; None without a map.

        problem: why the image has no calibration. camera_frame: its frame_id.
        """
        answer = None if self.loaded is None else self.loaded.localizer.localize(frame)
        maps = self.session.makes_landmarks(frame.camera)
        if problem and not maps and not (self.loaded is not None and self.loaded.has_landmarks):
            problem = ""  # Nothing asks for a calibration.
        self._note_calibration(frame.camera, problem)
        if self.session.needs_mount(frame) or (answer is not None and answer.metric is not None):
            self._note_mount(frame, camera_frame)
        if answer is None or self.loaded is None:
            return None
        if problem:
            answer = answer._replace(reason=f"{answer.reason}; no metric pose: {problem}")
        return self.loaded.of_robot(answer, frame.extrinsics)

    def _note_calibration(self, topic: str, problem: str) -> None:
        self.statistics[topic].note_calibration(problem)
        if problem:
            self._node.get_logger().warning(
                f"{topic}: no metric poses: {problem}", throttle_duration_sec=_TOLD_S
            )

    def _note_mount(self, frame: CameraFrame, camera_frame: str) -> None:
        if frame.extrinsics is None:
            self.statistics[frame.camera].note_mount(self._mounts.problem(camera_frame))
            self._mounts.tell(frame.camera, camera_frame)
        else:
            self.statistics[frame.camera].note_mount("")

    def _calibration(self, topic: str, image: Image) -> ImageCalibration:
        found = self._calibrations.get(topic)
        if found is None:  # the node was deactivated meanwhile
            return ImageCalibration(None)
        height, width, _ = image.shape
        return found.of_image(width, height)

    def _encode(self, frame: CameraFrame) -> NDArray[np.float32]:
        descriptor: NDArray[np.float32] = self._encoder.encode([frame.image])[0]
        return descriptor

    def _after_answer(self, frame: CameraFrame, answer: Localization, camera_frame: str) -> None:
        """Do what may fail without touching the answer; pictures are for another thread."""
        if self.loaded is not None:
            self.loaded.stream.aim(answer)
        if self.publishers.has_viewer:
            self._painter.put(frame.camera, _Seen(frame.image, answer, camera_frame))

    def _paint(self, topic: str, seen: _Seen) -> None:
        """Publish a match image, in a thread that no answer waits for."""
        if self.loaded is None:
            return
        try:
            self.publishers.publish_picture(*seen, self.loaded.place_map)
        except ProgeoError as error:
            _log.warning("no match image: %s", error)

    def _fail(self, statistics: CameraStatistics, reason: str) -> None:
        statistics.count_failed(reason)
        self._node.get_logger().warning(f"image dropped: {reason}", throttle_duration_sec=5.0)


def _log_failure(done: Future[None]) -> None:
    """Log what went wrong in a call whose result nobody waits for."""
    error = done.exception()
    if error is not None:
        _log.error("the new parameters are not in use: %s", error)


def _warm_up(encoder: Encoder) -> None:
    """Run the model once: its first images take far longer than all others."""
    encoder.encode([np.zeros((480, 640, 3), np.uint8)])
