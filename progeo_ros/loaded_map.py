"""An open map with the localizer that answers from it."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path
from typing import NamedTuple

from progeo_core.descriptors.encoder import Encoder
from progeo_core.errors import ProgeoError, UsageError
from progeo_core.geo import FloatArray
from progeo_core.inference.feature_extractor import shared_extractor
from progeo_core.localization.answer import Localization
from progeo_core.localization.consensus import ConsensusSettings
from progeo_core.localization.localizer import Localizer
from progeo_core.localization.localizer_settings import LocalizerSettings
from progeo_core.localization.place_filter import PlaceFilterSettings
from progeo_core.localization.pose_stream import PoseStream
from progeo_core.localization.prepared_map import PreparedMap, geodetic_of
from progeo_core.map.place_index import PlaceIndex
from progeo_core.map.place_map import PlaceMap
from progeo_core.poses.extrinsics import Extrinsics
from progeo_core.poses.pose_buffer import PoseBuffer
from progeo_ros.settings import NodeSettings


class LocalizerOptions(NamedTuple):
    """Settings that may change while images are answered."""

    localizer: LocalizerSettings
    consensus: ConsensusSettings
    place_filter: PlaceFilterSettings


@dataclasses.dataclass(frozen=True)
class LoadedMap:
    """Open map, prepared to localize in, the localizer on it, and the stream of its poses."""

    prepared: PreparedMap
    localizer: Localizer
    stream: PoseStream

    @functools.cached_property
    def has_landmarks(self) -> bool:
        """Whether landmarks of the map may tell the pose of a calibrated camera."""
        return self.place_map.has_landmarks

    @property
    def place_map(self) -> PlaceMap:
        """Return the open map."""
        return self.prepared.place_map

    @property
    def places(self) -> int:
        """Return the number of places."""
        return len(self.place_map)

    @classmethod
    def open(
        cls,
        path: str,
        encoder: Encoder,
        options: LocalizerOptions,
        settings: NodeSettings,
        odometry: PoseBuffer,
    ) -> LoadedMap:
        """Open a map with all that answering needs; raise a `ProgeoError` if that cannot be."""
        place_map = open_map(path)
        try:
            # Before the index is built, which is long and in vain for another model's map.
            place_map.require_model(encoder.fingerprint)
            extractor = shared_extractor(settings.device, settings.runtime)
            index = PlaceIndex.open(place_map, settings.index_memory_mb)
            prepared = PreparedMap(place_map, index, extractor)
            if options.localizer.verification_ms or place_map.has_views:
                # Before the first image, as it takes seconds.
                extractor.load()
            localizer = _localizer(prepared, encoder, options, odometry)
            # The stream may outlive the map.
            geodetic = functools.partial(geodetic_of, place_map.datum)
            return cls(prepared, localizer, PoseStream(odometry, geodetic))
        except ProgeoError:
            place_map.close()
            raise

    def of_robot(self, answer: Localization, extrinsics: Extrinsics | None) -> Localization:
        """Return an answer of a camera as one of its robot, where it is known how they are fixed.

        Only landmarks tell the pose of the camera. The places of a map are where its maker was.
        """
        if answer.metric is None or extrinsics is None:
            return answer
        estimate = extrinsics.base_estimate(
            answer.metric.pose, answer.metric.covariance, answer.estimate.confidence
        )
        geodetic = self.prepared.geodetic(estimate.position)
        return answer._replace(estimate=estimate, geodetic=geodetic)

    def follow(self, answer: Localization) -> Localization:
        """Return an answer of the robot with the pose that continues those before it.

        Images that are answered by themselves continue nothing.
        """
        if self.localizer.settings.sequence:
            return self.stream.follow(answer)
        return answer._replace(relocalized=answer.accepted)

    def forget(self) -> None:
        """Forget the sequence so far, and where it led."""
        self.localizer.reset()
        self.stream.reset()

    def start_at(self, pose: FloatArray, covariance: FloatArray) -> str:
        """Follow on from a pose [3] with covariance [3, 3]; return what that means.

        Raises `UsageError` where single images are answered, or no place is near.
        """
        x, y, yaw = pose
        where = f"x {x:.1f} m, y {y:.1f} m, yaw {yaw:.1f} rad"
        near = self.localizer.start_at(pose, covariance)
        if not near:
            raise UsageError(f"no place of the map is near {where}")
        self.stream.reset()
        return f"following on from {where}, which {near} places are near"

    def continuing(self, before: LoadedMap) -> LoadedMap:
        """Return this map where another one was followed so far, with what is known of the robot.

        Poses go on where the metres of both start at one datum; else the robot may be anywhere.
        """
        datum = self.place_map.datum
        if datum is None or datum != before.place_map.datum:
            return self
        self.localizer.continue_from(before.localizer)
        return dataclasses.replace(self, stream=before.stream)

    def with_options(self, encoder: Encoder, options: LocalizerOptions) -> LoadedMap:
        """Return the same map with a localizer that has other settings."""
        localizer = _localizer(self.prepared, encoder, options, self.localizer.odometry)
        return dataclasses.replace(self, localizer=localizer)


def has_places(path: str) -> bool:
    """Whether there is a map with places to localize in; raise a `ProgeoError` for a bad file."""
    if not path or not Path(path).expanduser().exists():
        return False
    with open_map(path) as place_map:
        return len(place_map) > 0


def open_map(path: str) -> PlaceMap:
    """Open the map that the parameter names; raise a `ProgeoError` if that cannot be."""
    if not path:
        raise UsageError("parameter map is empty: give the path of a map, map:=NAME.progeo")
    return PlaceMap.open(Path(path).expanduser())


def _localizer(
    prepared: PreparedMap, encoder: Encoder, options: LocalizerOptions, odometry: PoseBuffer
) -> Localizer:
    return Localizer(
        prepared,
        encoder,
        options.localizer,
        options.consensus,
        place_filter=options.place_filter,
        odometry=odometry,
    )
