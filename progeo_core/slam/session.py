"""One session of a robot: keyframes, loop closures, and the map that grows from them."""

from __future__ import annotations

import dataclasses
import math
import time
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from progeo_core.geo import Datum, FloatArray, enu_from_wgs84
from progeo_core.images.codec import make_thumbnail
from progeo_core.inference.feature_extractor import FeatureExtractor, shared_extractor
from progeo_core.localization.answer import CameraFrame, Localization
from progeo_core.map.recorder import MapRecorder, NewPlace
from progeo_core.poses.camera_pose import CameraPose
from progeo_core.poses.pose_buffer import BufferedPose, PoseBuffer
from progeo_core.poses.transform import Transform, level_quaternion
from progeo_core.slam.keyframes import Keyframe, KeyframeSettings
from progeo_core.slam.loop_closure import Added, LoopCloser, LoopClosure, LoopClosureSettings
from progeo_core.slam.loop_refinement import LoopRefiner
from progeo_core.slam.map_anchor import MapAnchor

if TYPE_CHECKING:
    from progeo_core.slam.keyframe_views import KeyframeViews

# Poses of the reference never compare with those of the odometry.
_REFERENCE_SEGMENTS = 1_000_000
# An image this much older than the last is of a new run (simulation, bag loop), not disorder.
_RESTART_NS = 1_000_000_000


class SessionStep(NamedTuple):
    """Result of one image: its keyframe or None, the closures that it completed, the time taken."""

    keyframe: Keyframe | None
    closures: tuple[LoopClosure, ...]
    seconds: float


@dataclasses.dataclass
class SessionCounts:
    """Counts of what became of the images of a session.

    without_pose: images without odometry at their time, which are no keyframes unless there never
    was any odometry. unplaced: keyframes whose place in the map was not known yet.
    """

    keyframes: int = 0
    closures: int = 0
    without_pose: int = 0
    unplaced: int = 0


class _Camera(NamedTuple):
    """What a session keeps of one camera: its keyframes, and their images."""

    closer: LoopCloser
    refiner: LoopRefiner


class Session:
    """Session of one robot; poses come in any thread, images in one."""

    def __init__(
        self,
        dimension: int,
        loops: LoopClosureSettings,
        keyframes: KeyframeSettings,
        odometry: PoseBuffer | None = None,
        extractor: FeatureExtractor | None = None,
    ) -> None:
        """Start a session.

        dimension: of descriptors. odometry: where somebody else fills it. extractor: of the
        keyframes' local features; None for this process's own one.
        """
        self.odometry = PoseBuffer() if odometry is None else odometry
        self.reference = PoseBuffer()
        self.counts = SessionCounts()
        self._dimension, self._loops, self._keyframes = dimension, loops, keyframes
        self._extractor = extractor or shared_extractor()
        self._cameras: dict[str, _Camera] = {}
        self._map: MapRecorder | None = None
        self._views: KeyframeViews | None = None
        self._anchor = MapAnchor(is_new_map=True)
        self._by_reference = False
        self._last_stamp_ns = 0

    @property
    def live_map(self) -> MapRecorder | None:
        """Return the map that is being written, None where none is."""
        return self._map

    def start_mapping(
        self,
        live_map: MapRecorder,
        *,
        by_reference: bool,
        views: KeyframeViews | None = None,
        extends: bool = False,
    ) -> None:
        """Write keyframes to a map, at the poses of the reference or of the odometry.

        views: finds their local features; the caller finishes it. extends: whether a new map is in
        the frame of another one, so that answers say where its keyframes are.
        """
        self._by_reference, self._views = by_reference, views
        self._anchor = MapAnchor(is_new_map=not live_map.places_before and not extends)
        self._map = live_map  # Last, as images may come in another thread.

    def stop_mapping(self) -> MapRecorder | None:
        """Return the map that was written, which is the caller's to close."""
        live_map, self._map = self._map, None
        return live_map

    def add_fix(self, stamp_ns: int, geodetic: FloatArray, datum: Datum) -> None:
        """Add latitude, longitude (degrees) and altitude (m) [3] as a position for the map."""
        self.reference.add(stamp_ns, enu_from_wgs84(geodetic[None], datum)[0], float("nan"))

    def add_image(
        self,
        frame: CameraFrame,
        descriptor: NDArray[np.float32],
        answer: Localization | None = None,
    ) -> SessionStep:
        """Add an image, in the order of time; answer: where the map loaded before places it.

        Where the frame has the camera's calibration, closures are refined by their images.
        """
        started = time.perf_counter()
        self._note_time(frame.stamp_ns)
        pose = self.odometry.at(frame.stamp_ns)
        if pose is not None and answer is not None and answer.accepted:
            self._anchor.recognised(answer.estimate, pose)
        moved = pose or self._referred(frame.stamp_ns)
        if moved is None and (self.odometry.heard or self.reference.heard):
            # A gap in the odometry, or an image ahead of it: no keyframe can be put there.
            self.counts.without_pose += 1
            return SessionStep(None, (), time.perf_counter() - started)
        segment = self.odometry.segment if moved is None else moved.segment
        planar = None if moved is None else moved.planar
        camera = self._camera(frame.camera)
        added = camera.closer.add(descriptor, frame.stamp_ns, planar, segment)
        closures = added.closures
        if added.keyframe is not None:
            self.counts.keyframes += 1
            self.counts.without_pose += moved is None
            closures = self._keep(frame, descriptor, pose, camera, added)
        self.counts.closures += len(closures)
        for closure in closures:
            self._anchor.closed(closure)
        return SessionStep(added.keyframe, closures, time.perf_counter() - started)

    def _keep(
        self,
        frame: CameraFrame,
        descriptor: NDArray[np.float32],
        pose: BufferedPose | None,
        camera: _Camera,
        added: Added,
    ) -> tuple[LoopClosure, ...]:
        """Write a keyframe to the map, keep its image; return its closures, refined."""
        place_id, mapped = self._written(frame, descriptor, pose)
        if frame.intrinsics is not None and added.keyframe is not None:
            camera.refiner.keep(added.keyframe.number, frame, _transform(pose))
        # Last, so that it need not find the local features again.
        if place_id is not None and self._views is not None:
            self._views.add(place_id, frame, mapped)
        if frame.intrinsics is None:
            return added.closures
        return camera.refiner.refine(added.closures, camera.closer.keyframes)

    def _written(
        self, frame: CameraFrame, descriptor: NDArray[np.float32], pose: BufferedPose | None
    ) -> tuple[int | None, CameraPose | None]:
        """Write a keyframe to the map; return its place there and the pose of its camera."""
        if self._map is None:
            return None, None
        placed = self._placed(frame.stamp_ns, pose)
        self.counts.unplaced += placed is None
        if placed is None:
            return None, None
        thumbnail = make_thumbnail(frame.image)
        place = NewPlace(thumbnail, descriptor, placed, frame.stamp_ns, frame.camera)
        return self._map.add(place), _camera_pose(frame, placed)

    def _note_time(self, stamp_ns: int) -> None:
        """Forget the keyframes where time starts again, as stamps are their names."""
        if stamp_ns < self._last_stamp_ns - _RESTART_NS:
            self._cameras.clear()
        self._last_stamp_ns = stamp_ns

    def _referred(self, stamp_ns: int) -> BufferedPose | None:
        """Return the reference's pose in place of odometry; fixes have no yaw, none is turned."""
        pose = self.reference.at(stamp_ns)
        if pose is None:
            return None
        yaw = pose.yaw_rad if math.isfinite(pose.yaw_rad) else 0.0
        return pose._replace(yaw_rad=yaw, segment=_REFERENCE_SEGMENTS + pose.segment)

    def _placed(self, stamp_ns: int, pose: BufferedPose | None) -> BufferedPose | None:
        if self._by_reference:
            return self.reference.at(stamp_ns)
        return None if pose is None else self._anchor.place(pose)

    def _camera(self, name: str) -> _Camera:
        if name not in self._cameras:
            self._cameras[name] = _Camera(
                LoopCloser(self._dimension, self._loops, self._keyframes),
                LoopRefiner(self._extractor),
            )
        return self._cameras[name]


def _camera_pose(frame: CameraFrame, robot: BufferedPose) -> CameraPose | None:
    """Return the pose of a camera in the map, None where something of it is unknown."""
    if frame.extrinsics is None or robot.orientation is None:
        return None
    return frame.extrinsics.camera_pose(robot.position, robot.orientation)


def _transform(pose: BufferedPose | None) -> Transform | None:
    """Return the pose of a robot in six degrees of freedom, a level one where only yaw is known."""
    if pose is None:
        return None
    if pose.orientation is not None:
        return Transform(pose.position, pose.orientation)
    if not math.isfinite(pose.yaw_rad):
        return None
    return Transform(pose.position, level_quaternion(pose.yaw_rad))
