"""Where was this image taken? Image to descriptor, to similar places, to a pose with a verdict."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from progeo_core.descriptors.encoder import Encoder
from progeo_core.descriptors.standardization import (
    RunningStandardization,
    Standardization,
    sample_of,
)
from progeo_core.errors import DataError, ModelMismatchError
from progeo_core.geo import FloatArray, wgs84_from_enu
from progeo_core.images.codec import Image
from progeo_core.images.intrinsics import Intrinsics
from progeo_core.localization.answer import CameraFrame, Localization, Match, StepSeconds
from progeo_core.localization.consensus import (
    ConsensusSettings,
    dominant_mode,
    estimate_from_belief,
    estimate_pose,
    match_weights,
    pose_from_weights,
)
from progeo_core.localization.decision import Decision, decide_belief, decide_image
from progeo_core.localization.descriptor_cache import DescriptorCache
from progeo_core.localization.map_spacing import measure_spacing
from progeo_core.localization.place_filter import Belief, PlaceFilter, PlaceFilterSettings
from progeo_core.localization.place_grid import PlaceGrid
from progeo_core.localization.place_verification import PlaceVerifier
from progeo_core.localization.sequence_tracker import SequenceTracker
from progeo_core.map.confidence_calibration import Calibration
from progeo_core.map.place_index import PlaceIndex
from progeo_core.map.place_map import PlaceMap
from progeo_core.poses.pose_buffer import PoseBuffer
from progeo_core.poses.pose_estimate import PoseEstimate
from progeo_core.settings import Settings, setting

# Places within this share of the map's spacing are one pose of a rig of cameras.
_SPOT = 0.3


@dataclasses.dataclass(frozen=True)
class LocalizerSettings(Settings):
    """Say how many places are compared and when an answer may be used."""

    top_k: int = setting(20, "Matches reported with every answer, best first", low=1, high=1000)
    candidates: int = setting(
        50, "Similar places that the estimate is made from", low=1, high=10_000
    )
    min_confidence: float = setting(
        0.9, "Smallest confidence at which an answer is accepted and published", low=0.0, high=1.0
    )
    sequence: bool = setting(
        False,
        "Follow the robot from image to image with the place filter; several cameras help each"
        " other if the map has images of all of them",
    )
    geometric_checks: int = setting(
        0,
        "Places whose views are compared with an uncertain image by local features; 10 is good, 0"
        " none. Costs some 30 ms per image and per place seen for the first time, 2 ms per known"
        " one. With a calibrated camera one more refines the pose",
        low=0,
        high=50,
    )


class _Ranking(NamedTuple):
    """Hold rows of places, best first, their similarities, and what follows from them."""

    rows: NDArray[np.int64]
    similarity: FloatArray
    estimate: PoseEstimate
    verdict: Decision


class Localizer:
    """Answer images with poses in the frame of one map."""

    def __init__(
        self,
        place_map: PlaceMap,
        index: PlaceIndex,
        encoder: Encoder,
        settings: LocalizerSettings | None = None,
        consensus: ConsensusSettings | None = None,
        *,
        place_filter: PlaceFilterSettings | None = None,
        odometry: PoseBuffer | None = None,
    ) -> None:
        """Raise `ModelMismatchError` unless the encoder made the map and gives unit lengths.

        odometry: what a sequence is moved by; its owner may fill it from another thread.
        """
        place_map.require_model(encoder.fingerprint)
        if not encoder.fingerprint.normalized:
            raise ModelMismatchError(
                f"model {encoder.fingerprint}: descriptors are not normalised, so similarities"
                " mean nothing to the localizer; use the model's normalised form"
            )
        self._map, self._index, self._encoder = place_map, index, encoder
        self.settings = settings or LocalizerSettings()
        self._given_consensus = consensus or ConsensusSettings()
        self._filter_settings = place_filter or PlaceFilterSettings()
        self.odometry = PoseBuffer() if odometry is None else odometry
        self.reload()

    @classmethod
    def open(
        cls,
        map_path: Path,
        encoder: Encoder,
        settings: LocalizerSettings | None = None,
        consensus: ConsensusSettings | None = None,
        *,
        place_filter: PlaceFilterSettings | None = None,
    ) -> Localizer:
        """Open a map file read-only, with its index; raises what opening a map raises."""
        place_map = PlaceMap.open(map_path)
        index = PlaceIndex.open(place_map)
        return cls(place_map, index, encoder, settings, consensus, place_filter=place_filter)

    def reload(self) -> None:
        """Read the map's places again, after others were added; a sequence starts anew."""
        places = self._places = self._map.poses()
        if not len(places.ids):
            raise DataError(f"{self._map.path}: the map holds no places; build it first")
        self._contrast = Standardization.of_descriptors(
            self._map.descriptors(sample_of(places.ids)).astype(np.float32)
        )
        self._views = DescriptorCache(self._map, places.ids, self._contrast)
        self._scale = measure_spacing(places, self._map, self._contrast)
        radius = max(self._given_consensus.place_radius_m, 1.5 * self._scale.spacing_m)
        self.consensus = dataclasses.replace(self._given_consensus, place_radius_m=radius)
        self._view_check = PlaceVerifier(self._map, places, radius, self._scale.spacing_m)
        self._calibration = self._map.calibration() or Calibration()
        place_filter = PlaceFilter(places.position, self._scale.spacing_m, self._filter_settings)
        # Only in maps of several cameras do several places show one pose.
        rig = self._map.has_several_cameras()
        spot_m = _SPOT * (self._scale.spacing_m or 1.0)
        self._spots = PlaceGrid(places.position, spot_m) if rig else None
        self._spot_m = spot_m
        self._track = SequenceTracker(place_filter, self._scale.neighbour_similarity, self.odometry)
        self._drives: dict[str, RunningStandardization] = {}

    @property
    def place_radius_m(self) -> float:
        """Return the distance (m) within which the confidence promises the position to be."""
        return self.consensus.place_radius_m

    @property
    def maps_several_cameras(self) -> bool:
        """Say whether the map has images of more than one camera, so that a rig is one pose."""
        return self._spots is not None

    def reset(self) -> None:
        """Forget the sequence so far: the next image may be from anywhere."""
        self._track.reset()
        self._drives.clear()

    def localize(self, frame: CameraFrame) -> Localization:
        """Return where the image was taken, and how sure that is."""
        started = time.perf_counter()
        descriptor = self._encoder.encode([frame.image])[0]
        encode = time.perf_counter() - started
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

        image: what it describes, for the geometric check, which is left out without it.
        intrinsics: of its camera; with them the check refines yaw and position, too.
        """
        _require_unit_length(descriptor)
        started = time.perf_counter()
        candidates = self._search(descriptor)
        searched = time.perf_counter()
        view = self._contrast.apply(descriptor[None])[0]
        if self.settings.sequence:
            ranking = self._rank_by_belief(stamp_ns, descriptor, view, candidates, image, camera)
        else:
            ranking = self._rank_by_similarity(view, candidates, image)
        if image is not None and intrinsics and self._checks and ranking.verdict.accepted:
            refined = self._view_check.refine(image, intrinsics, ranking.estimate, ranking.rows)
            ranking = ranking._replace(estimate=refined)
        finished = time.perf_counter()
        return Localization(
            stamp_ns=stamp_ns,
            camera=camera,
            estimate=ranking.estimate,
            geodetic=self._geodetic(ranking.estimate.position),
            accepted=ranking.verdict.accepted,
            state=ranking.verdict.state,
            reason=ranking.verdict.reason,
            matches=self._matches(ranking),
            descriptor=descriptor,
            seconds=StepSeconds(search=searched - started, estimate=finished - searched),
        )

    def _search(self, descriptor: NDArray[np.float32]) -> NDArray[np.int64]:
        """Return the rows of the candidates of one descriptor."""
        count = max(self.settings.candidates, self.settings.top_k)
        found = self._index.search(descriptor[None], min(count, len(self._places.ids)))
        return self._places.rows_of(found.place_ids[0][found.place_ids[0] >= 0])

    def _similarity(self, view: NDArray[np.float32], rows: NDArray[np.int64]) -> FloatArray:
        """Return how alike places are to a view, both in the map's contrast."""
        similarity: FloatArray = (self._views.of_rows(rows) @ view).astype(np.float64)
        return similarity

    def _similarity_of_poses(
        self, view: NDArray[np.float32], rows: NDArray[np.int64]
    ) -> FloatArray:
        """Return how alike the best view at each place's pose is: a rig has several there."""
        if self._spots is None:
            return self._similarity(view, rows)
        pairs = self._spots.near(self._places.position[rows], self._spot_m)
        there, back = np.unique(pairs.row, return_inverse=True)
        best = np.full(len(rows), -1.0)
        np.maximum.at(best, pairs.point, self._similarity(view, there)[back])
        return best

    def _rank_by_similarity(
        self, view: NDArray[np.float32], candidates: NDArray[np.int64], image: Image | None
    ) -> _Ranking:
        """Answer one image by itself."""
        similarity = self._similarity(view, candidates)
        order = np.argsort(-similarity, kind="stable")
        rows, similarity = candidates[order], similarity[order]
        estimate = estimate_pose(
            similarity,
            self._places.position[rows],
            self._places.yaw_rad[rows],
            self.consensus,
            resolution_m=self._scale.spacing_m,
        )
        confidence = self._calibration.single.apply(estimate.confidence)
        ranking = self._judged(rows, similarity, estimate._replace(confidence=confidence))
        if image is None or ranking.verdict.accepted or not self._checks:
            return ranking
        return self._check_image(image, ranking)

    def _check_image(self, image: Image, ranking: _Ranking) -> _Ranking:
        """Return the answer to one image after its most similar places were looked at."""
        weight = match_weights(ranking.similarity, self.consensus.sharpness)
        confidence = ranking.estimate.confidence
        checked = self._view_check.weigh_matches(
            image, confidence, ranking.rows, weight, self._checks
        )
        order = np.argsort(-checked.weight, kind="stable")
        rows = ranking.rows[order]
        estimate = pose_from_weights(
            checked.weight[order],
            self._places.position[rows],
            self._places.yaw_rad[rows],
            self.consensus,
            confidence=checked.confidence,
            resolution_m=self._scale.spacing_m,
        )
        return self._judged(rows, ranking.similarity[order], estimate)

    def _judged(
        self, rows: NDArray[np.int64], similarity: FloatArray, estimate: PoseEstimate
    ) -> _Ranking:
        verdict = decide_image(estimate.confidence, self.settings.min_confidence)
        return _Ranking(rows, similarity, estimate, verdict)

    def _rank_by_belief(
        self,
        stamp_ns: int,
        descriptor: NDArray[np.float32],
        view: NDArray[np.float32],
        candidates: NDArray[np.int64],
        image: Image | None,
        camera: str,
    ) -> _Ranking:
        """Answer one image as part of its sequence."""
        drive = self._drives.setdefault(camera, RunningStandardization(self._contrast))
        along = drive.view(descriptor)
        seen = self._track.observe(
            stamp_ns,
            view,
            candidates,
            lambda rows: self._similarity_of_poses(along, rows),
            lambda belief: self._check(image, belief),
            camera,
        )
        if seen.counted:
            drive.add(descriptor)
        belief = seen.belief
        estimate = estimate_from_belief(
            belief, self._places.yaw_rad[belief.rows], self.consensus, self._scale.spacing_m
        )
        confidence = self._calibration.sequence.apply(estimate.confidence)
        estimate = estimate._replace(confidence=confidence)
        verdict = decide_belief(
            estimate.confidence, belief.off_map, seen.steps, self.settings.min_confidence
        )
        return _Ranking(belief.rows, belief.similarity, estimate, verdict)

    @property
    def _checks(self) -> int:
        """Return how many places an image is compared with by local features."""
        # Of a rig's several pictures at a place, nothing says which one to compare.
        return 0 if self.maps_several_cameras else self.settings.geometric_checks

    def _check(self, image: Image | None, belief: Belief) -> FloatArray | None:
        """Return what local features say of a belief's places [s], None where nothing needs it."""
        if image is None or not self._checks:
            return None
        mode = dominant_mode(belief.probability, belief.position, self.consensus.place_radius_m)
        confidence = self._calibration.sequence.apply(float(belief.probability[mode].sum()))
        if confidence >= self.settings.min_confidence:
            return None
        return self._view_check.log_odds(image, belief, self._checks)

    def _matches(self, ranking: _Ranking) -> tuple[Match, ...]:
        """Return the `top_k` best places with what the map knows of them."""
        rows = ranking.rows[: self.settings.top_k]
        places, ids = self._places, self._places.ids[rows].tolist()
        return tuple(
            Match(
                place_id=place_id,
                similarity=float(similarity),
                position=places.position[row],
                yaw_rad=float(places.yaw_rad[row]),
                image=image,
            )
            for row, place_id, similarity, image in zip(
                rows, ids, ranking.similarity[: len(rows)], self._map.images(ids), strict=True
            )
        )

    def _geodetic(self, position: FloatArray) -> tuple[float, float, float] | None:
        """Return latitude, longitude and altitude of a position, where the map has a datum."""
        if self._map.datum is None:
            return None
        lat, lon, alt = wgs84_from_enu(position[None], self._map.datum)[0]
        return float(lat), float(lon), float(alt)


def _require_unit_length(descriptor: NDArray[np.float32]) -> None:
    """Raise `DataError` unless the descriptor [D] is finite and of length one."""
    length = float(np.linalg.norm(descriptor))
    # Written so that NaN counts as bad; float16 storage shortens a descriptor by up to 0.1 %.
    if not abs(length - 1.0) < 0.01:
        raise DataError(
            f"descriptor of length {length:g}: must be 1; check the image and the model"
        )
