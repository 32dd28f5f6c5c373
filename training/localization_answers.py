"""Answers to the images of a scene by constants under trial."""

from __future__ import annotations

import itertools
import math
import tempfile
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import NamedTuple

import numpy as np
from localization_evidence import Evidence
from localization_figures import Outcome
from localization_odometry import Odometry, ways
from localization_scenes import Pass, Scene, Shot

from progeo_core.descriptors.encoder import Encoder
from progeo_core.inference.feature_extractor import QUERY_FEATURES
from progeo_core.localization.consensus import ConsensusSettings
from progeo_core.localization.fitted_constants import (
    SequenceConstants,
    SingleImageConstants,
    VerificationConstants,
)
from progeo_core.localization.localizer_settings import LocalizerSettings
from progeo_core.localization.place_filter import PlaceFilter
from progeo_core.localization.place_verification import PlaceVerifier
from progeo_core.localization.prepared_map import PreparedMap
from progeo_core.localization.ranking import Query, Ranking
from progeo_core.localization.sequence_ranker import SequenceRanker
from progeo_core.localization.single_image_ranker import SingleImageRanker
from progeo_core.map.place_index import PlaceIndex
from progeo_core.map.place_map import PlaceMap, Places
from progeo_core.poses.pose_buffer import PoseBuffer
from progeo_core.verification.epipolar_inliers import Overlap

# Time (ms) to verify: as if there were time to compare all places.
_AT_LEISURE = 10_000
# The 90 % quantile of chi-square with two degrees of freedom.
_NINETY_PERCENT = 4.605
_NOTHING = np.zeros((1, 1, 3), np.uint8)


# With stops, a robot stands for so many seconds after every so many images.
_STOP_S, _DRIVE = 6, 8
_SECOND_NS = 10**9


class Times(Enum):
    """When the images of a drive were taken: unknown, one a second, or with stops between them."""

    UNKNOWN = ""
    EVERY_SECOND = "1 Hz"
    WITH_STOPS = "1 Hz, stops"

    def seconds(self, number: int) -> range:
        """Return the seconds at which image `number` of a clip was taken, the last ones again."""
        if self is Times.UNKNOWN:
            return range(1)
        stops, stands = 0, 0
        if self is Times.WITH_STOPS:
            stops = number // _DRIVE
            stands = _STOP_S if number % _DRIVE == _DRIVE - 1 else 0
        # A stamp of 0 is an unknown one.
        start = 1 + number + stops * _STOP_S
        return range(start, start + stands + 1)


class Constants(NamedTuple):
    """All constants of the localizer that are fitted."""

    single: SingleImageConstants = SingleImageConstants()
    sequence: SequenceConstants = SequenceConstants()
    verification: VerificationConstants = VerificationConstants()


class Mode(NamedTuple):
    """Way to answer: as a sequence or each image by itself, verified or not, times, odometry."""

    sequence: bool
    verified: bool
    times: Times = Times.UNKNOWN
    odometry: Odometry = Odometry.NONE

    def __str__(self) -> str:
        """Return the mode in words."""
        what = "sequence" if self.sequence else "single image"
        verified = "verified" if self.verified else ""
        words = (what, verified, self.times.value, self.odometry.value)
        return ", ".join(word for word in words if word)

    def read(self, constants: Constants) -> Constants:
        """Return constants of which those that answers of this mode do not read are as usual."""
        usual = Constants()
        return Constants(
            usual.single if self.sequence else constants.single,
            constants.sequence if self.sequence else usual.sequence,
            constants.verification if self.verified else usual.verification,
        )


class PreparedScene:
    """Scene with its map and the descriptors of its images, ready to be answered again and again.

    scene: what it is of.
    """

    def __init__(self, scene: Scene, evidence: Evidence, encoder: Encoder, folder: Path) -> None:
        """Make the map in a folder."""
        self.scene, self._evidence = scene, evidence
        count = len(scene.database.shots)
        names = [""] * count
        path = Path(tempfile.mkdtemp(dir=folder)) / "scene.progeo"
        places = Places(
            scene.database.position,
            scene.database.yaw_rad,
            np.zeros(count, np.int64),
            names,
            names,
            names,
            [None] * count,
        )
        with PlaceMap.create(path, encoder.fingerprint) as place_map:
            place_map.append(places, evidence.descriptors(scene.database.shots))
        place_map = PlaceMap.open(path)
        self.prepared = PreparedMap(place_map, PlaceIndex.open(place_map))
        self._consensus = ConsensusSettings().widened(self.prepared.spacing.spacing_m)
        passes = [] if scene.queries is None else [(scene.queries, True)]
        passes += [(one, False) for one in scene.elsewhere]
        self._passes = [(one, self._queries(one), at_home) for one, at_home in passes]

    def answer(self, mode: Mode, constants: Constants) -> Outcome:
        """Answer all passes of the scene."""
        parts = [
            self._outcome(one, at_home, self._rankings(one, queries, mode, constants))
            for one, queries, at_home in self._passes
        ]
        return Outcome(*(np.concatenate(column) for column in zip(*parts, strict=True)))

    def _queries(self, one: Pass) -> list[Query]:
        prepared, settings = self.prepared, LocalizerSettings()
        return [
            Query(
                0,
                "",
                descriptor,
                prepared.standardization.apply(descriptor[None])[0],
                prepared.search(descriptor, settings.candidates),
                None,
            )
            for descriptor in self._evidence.descriptors(one.shots)
        ]

    def _rankings(
        self, one: Pass, queries: list[Query], mode: Mode, constants: Constants
    ) -> Iterator[Ranking]:
        """Rank the places for each image; every clip is a sequence of its own."""
        settings = LocalizerSettings(verification_ms=_AT_LEISURE if mode.verified else 0)
        radius_m = self._consensus.place_radius_m
        verifier = _KnowingVerifier(self, radius_m, constants.verification)
        single = SingleImageRanker(self.prepared, self._consensus, verifier, constants.single)
        for _, clip in itertools.groupby(range(len(queries)), one.clip.__getitem__):
            rows = list(clip)
            seconds = [mode.times.seconds(number) for number in range(len(rows))]
            odometry = mode.odometry.of_clip(one.select(rows), seconds)
            sequence = self._sequence(verifier, constants.sequence, odometry)
            ranker = sequence if mode.sequence else single
            for row, stamps in zip(rows, seconds, strict=True):
                verifier.shot = one.shots[row]
                shown = queries[row]._replace(image=_NOTHING if mode.verified else None)
                answers = [
                    ranker.rank(shown._replace(stamp_ns=second * _SECOND_NS), settings)
                    for second in stamps
                ]
                # What a robot that stands sees again is no other question.
                yield answers[0]

    def _sequence(
        self, verifier: PlaceVerifier, constants: SequenceConstants, odometry: PoseBuffer
    ) -> SequenceRanker:
        places = self.prepared.places
        place_filter = PlaceFilter(
            places.position,
            self._consensus.told_apart_m(self.prepared.spacing.spacing_m),
            constants=constants,
            yaw_rad=places.yaw_rad,
        )
        return SequenceRanker(self.prepared, self._consensus, verifier, place_filter, odometry)

    def _outcome(self, one: Pass, at_home: bool, rankings: Iterator[Ranking]) -> Outcome:
        places, rows = self.prepared.places.position, []
        for ranking, position, way in zip(rankings, one.position, ways(one), strict=True):
            estimate, covariance = ranking.estimate, ranking.estimate.covariance[:2, :2]
            offset = (estimate.position - position)[:2]
            solved = np.linalg.solve(covariance, offset)
            best, nearest = (
                np.linalg.norm((where - position)[..., :2], axis=-1).min()
                for where in (places[ranking.rows[0]], places)
            )
            radius_m = self._radius_m
            rows.append(
                (
                    estimate.confidence,
                    ranking.decision.accepted,
                    at_home and np.linalg.norm(offset) <= radius_m,
                    at_home and best <= radius_m,
                    at_home and nearest <= radius_m,
                    offset @ solved <= _NINETY_PERCENT,
                    way @ offset / math.sqrt(way @ covariance @ way) if way.any() else math.nan,
                )
            )
        judged, clip = one.judged, np.array(one.clip)
        columns = np.array(rows, float)[judged].T
        accepted, right, best_right, on_map, inside = columns[1:-1].astype(bool)
        return Outcome(
            columns[0], accepted, right, best_right, on_map, inside, columns[-1], clip[judged]
        )

    @property
    def _radius_m(self) -> float:
        """Return the radius (m) that an answer promises: that of the scene, or the map's own."""
        return max(self.scene.radius_m, self._consensus.place_radius_m)

    def inliers(self, shot: Shot, row: int) -> float:
        """Return how many local features an image shares with a place."""
        return self._evidence.inliers(shot, self.scene.database.shots[row])

    def overlap(self, shot: Shot, row: int) -> Overlap:
        """Return what an image shares with a place."""
        magnified = self._evidence.log_magnification(shot, self.scene.database.shots[row])
        return Overlap(int(self.inliers(shot, row)), magnified)

    def detail(self, shot: Shot) -> float:
        """Return which share of the usual number of local features an image has."""
        return min(1.0, len(self._evidence.keypoints(shot).points) / QUERY_FEATURES)


class _KnowingVerifier(PlaceVerifier):
    """Verification of a scene's images by what is known of them; shot: the one in question."""

    def __init__(
        self, scene: PreparedScene, radius_m: float, constants: VerificationConstants
    ) -> None:
        super().__init__(scene.prepared, radius_m, constants)
        self._scene = scene
        self.shot = Shot(Path())

    def inliers(self, query: Query, row: int) -> float:
        return self._scene.inliers(self.shot, row)

    def overlap(self, query: Query, row: int) -> Overlap:
        return self._scene.overlap(self.shot, row)

    def magnification(self, row: int, other: int) -> float:
        place = self._scene.scene.database.shots[row]
        return self._scene.overlap(place, other).log_magnification

    def detail(self, query: Query) -> float:
        return self._scene.detail(self.shot)
