"""Where was this image taken? Image to descriptor, to similar places, to a pose and a decision."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from progeo_core.descriptors.encoder import Encoder, require_finite
from progeo_core.errors import DataError, ModelMismatchError, UsageError
from progeo_core.geo import FloatArray
from progeo_core.images.codec import Image
from progeo_core.images.intrinsics import Intrinsics
from progeo_core.localization.answer import CameraFrame, Localization, StepSeconds
from progeo_core.localization.consensus import ConsensusSettings
from progeo_core.localization.localizer_settings import LocalizerSettings
from progeo_core.localization.look_alikes import APART_RADII
from progeo_core.localization.metric_decision import decide_metric
from progeo_core.localization.place_filter import PlaceFilter, PlaceFilterSettings
from progeo_core.localization.place_verification import PlaceVerifier
from progeo_core.localization.prepared_map import PreparedMap
from progeo_core.localization.ranking import Query
from progeo_core.localization.sequence_ranker import SequenceRanker
from progeo_core.localization.single_image_ranker import SingleImageRanker
from progeo_core.map.place_index import PlaceIndex
from progeo_core.map.place_map import PlaceMap
from progeo_core.poses.pose_buffer import PoseBuffer

if TYPE_CHECKING:
    from progeo_core.inference.feature_extractor import FeatureExtractor
    from progeo_core.verification.metric_localizer import MetricPose

# Of the similar places, so many are looked at for landmarks.
_METRIC_CANDIDATES = 50


class Localizer:
    """Localizer of images in one map; a context manager that closes a map which it opened.

    settings: may be replaced between two images. place_radius_m: distance within which the
    confidence promises the position to be. odometry: poses that a sequence is moved by; their
    owner may add to it from another thread.
    """

    def __init__(
        self,
        prepared: PreparedMap,
        encoder: Encoder,
        settings: LocalizerSettings | None = None,
        consensus: ConsensusSettings | None = None,
        *,
        place_filter: PlaceFilterSettings | None = None,
        odometry: PoseBuffer | None = None,
    ) -> None:
        """Raise `ModelMismatchError` unless the encoder made the map and gives unit lengths."""
        prepared.place_map.require_model(encoder.fingerprint)
        if not encoder.fingerprint.normalized:
            raise ModelMismatchError(
                f"model {encoder.fingerprint}: descriptors are not normalised, so similarities"
                " mean nothing to the localizer; use the model's normalised form"
            )
        self._map, self._encoder = prepared, encoder
        self.settings = settings or LocalizerSettings()
        self.odometry = PoseBuffer() if odometry is None else odometry
        spacing_m = prepared.spacing.spacing_m
        consensus = (consensus or ConsensusSettings()).widened(spacing_m)
        self.place_radius_m = consensus.place_radius_m
        self._verifier = PlaceVerifier(prepared, self.place_radius_m)
        self._single = SingleImageRanker(prepared, consensus, self._verifier)
        self._sequence = SequenceRanker(
            prepared,
            consensus,
            self._verifier,
            PlaceFilter(
                prepared.places.position,
                consensus.told_apart_m(spacing_m),
                place_filter,
                yaw_rad=prepared.places.yaw_rad,
            ),
            self.odometry,
        )

    @classmethod
    def open(
        cls,
        map_path: str | Path,
        encoder: Encoder,
        settings: LocalizerSettings | None = None,
        consensus: ConsensusSettings | None = None,
        *,
        place_filter: PlaceFilterSettings | None = None,
        extractor: FeatureExtractor | None = None,
    ) -> Localizer:
        """Open a map file read-only, with its index; raises what opening a map raises.

        extractor: see `PreparedMap`.
        """
        place_map = PlaceMap.open(map_path)
        try:
            place_map.require_model(encoder.fingerprint)
            prepared = PreparedMap(place_map, PlaceIndex.open(place_map), extractor)
            return cls(prepared, encoder, settings, consensus, place_filter=place_filter)
        except BaseException:
            place_map.close()
            raise

    def close(self) -> None:
        """Close the map."""
        self._map.place_map.close()

    def __enter__(self) -> Localizer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def maps_several_cameras(self) -> bool:
        """Whether the map has images of more than one camera, so that a rig is one pose."""
        return self._map.has_rig

    def reset(self) -> None:
        """Forget the sequence so far: the next image may be from anywhere."""
        self._sequence.reset()

    def continue_from(self, before: Localizer) -> None:
        """Take over the sequence of a localizer on another map whose metres start at one datum."""
        self._sequence.continue_from(before._sequence)

    def start_at(self, pose: FloatArray, covariance: FloatArray) -> int:
        """Follow on from a pose that somebody gave; return the number of places near it.

        pose: x, y, yaw [3] in the map. covariance: [3, 3]. Raises `UsageError` unless
        `settings.sequence` is on: an image by itself has no past.
        """
        if not self.settings.sequence:
            raise UsageError(
                "every image is answered by itself: set localizer.sequence to true to follow on"
                " from a pose"
            )
        return self._sequence.start_at(pose, covariance)

    def localize(self, frame: CameraFrame) -> Localization:
        """Return where the image was taken, and how sure that is.

        Raises `ImageError` for an image that the model fails on.
        """
        started = time.perf_counter()
        descriptor = self._encoder.encode([frame.image])[0]
        encode = time.perf_counter() - started
        require_finite(descriptor)
        answer = self.localize_descriptor(
            descriptor, frame.stamp_ns, frame.camera, frame.image, frame.intrinsics
        )
        return answer._replace(seconds=answer.seconds._replace(encode=encode))

    def localize_descriptor(
        self,
        descriptor: NDArray[np.float32],
        stamp_ns: int = 0,
        camera: str = "",
        image: Image | None = None,
        intrinsics: Intrinsics | None = None,
    ) -> Localization:
        """Return where a unit-length descriptor [D] belongs; `DataError` for any other length.

        image: what it describes, for verification, which is left out without it.
        intrinsics: of its camera; with them, landmarks of the map give the full pose of the camera,
        and verification refines yaw and position where there are none.
        """
        _require_unit_length(descriptor)
        settings = self.settings
        compared = image if settings.verification_ms else None
        started = time.perf_counter()
        kept = self._map.place_map.shortened(descriptor[None])[0]
        candidates = self._map.search(kept, max(settings.candidates, settings.top_k))
        searched = time.perf_counter()
        standardized = self._map.standardization.apply(kept[None])[0]
        query = Query(stamp_ns, camera, kept, standardized, candidates, compared, intrinsics)
        ranker = self._sequence if settings.sequence else self._single
        rows, similarity, estimate, decision = ranker.rank(query, settings)
        metric, no_metric = self._metric_pose(image, intrinsics, rows, similarity)
        if metric is not None:
            estimate, decision = decide_metric(metric, estimate, settings.min_confidence)
        elif compared is not None and intrinsics and decision.accepted:
            estimate = self._verifier.refine(query, estimate, rows)
        finished = time.perf_counter()
        return Localization(
            stamp_ns=stamp_ns,
            camera=camera,
            estimate=estimate,
            geodetic=self._map.geodetic(estimate.position),
            accepted=decision.accepted,
            state=decision.state,
            reason=decision.reason + (f"; no metric pose: {no_metric}" if no_metric else ""),
            matches=self._map.matches(rows[: settings.top_k], similarity[: settings.top_k]),
            descriptor=descriptor,
            seconds=StepSeconds(search=searched - started, estimate=finished - searched),
            metric=metric,
        )

    def _viewed(self, rows: NDArray[np.int64], similarity: FloatArray) -> NDArray[np.int64]:
        """Return rows [k], best first, those of the best place as they look like the image.

        What shares most with the image is seen from where that was taken, and tells little more.
        """
        position = self._map.places.position[rows]
        offset = np.linalg.norm(position - position[0], axis=1)
        near = offset <= APART_RADII * self.place_radius_m
        order = np.lexsort((-similarity * near, ~near))
        return rows[order]

    def _metric_pose(
        self,
        image: Image | None,
        intrinsics: Intrinsics | None,
        rows: NDArray[np.int64],
        similarity: FloatArray,
    ) -> tuple[MetricPose | None, str]:
        """Return the pose of an image by landmarks, or None and why a calibrated one has none."""
        if image is None or intrinsics is None:
            return None, ""
        if not self._map.place_map.has_views:
            return None, "the map has no 3-D points"
        query = self._map.features.query(image, intrinsics)
        rows = self._viewed(rows, similarity)
        found = self._map.metric.localize(query, rows[:_METRIC_CANDIDATES])
        # Only localizing needs this module.
        from progeo_core.verification.metric_localizer import NoPose

        return (None, found.reason) if isinstance(found, NoPose) else (found, "")


def _require_unit_length(descriptor: NDArray[np.float32]) -> None:
    """Raise `DataError` unless the descriptor [D] is finite and of length one."""
    length = float(np.linalg.norm(descriptor))
    # Written so that NaN counts as bad; float16 storage shortens a descriptor by up to 0.1 %.
    if not abs(length - 1.0) < 0.01:
        raise DataError(
            f"descriptor of length {length:g}: must be 1; check the image and the model"
        )
