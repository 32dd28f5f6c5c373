"""Pose of a camera in six degrees of freedom, from the landmarks of the best places together."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from progeo_core.geo import FloatArray, wrap_angle
from progeo_core.images.intrinsics import Intrinsics
from progeo_core.inference.feature_extractor import working_side
from progeo_core.map.place_map import PlacePoses
from progeo_core.poses.camera_pose import CameraPose
from progeo_core.verification.absolute_pose import (
    FINAL_ERROR_PX,
    FIRST_ERROR_PX,
    FOCAL_PX,
    absolute_pose,
    fitted_pose,
)
from progeo_core.verification.calibration_check import (
    Lens,
    LensHistory,
    fitting_lens,
    lens_drift,
    zoomed,
)
from progeo_core.verification.feature_matching import mutual_matches
from progeo_core.verification.landmark_spread import Correspondences
from progeo_core.verification.nearby_matching import matches_nearby
from progeo_core.verification.place_feature_cache import KnownPlace, PlaceFeatureCache
from progeo_core.verification.query_view import QueryView

IntArray = NDArray[np.int64]

# Places that are compared first, and more places that a first pose expects to be in view.
_FIRST, _MORE = 3, 5
# Places that are compared where the first ones do not tell a pose: in poor light, the right ones
# are less similar.
_RETRY = 12
# Places nearer to each other than this (m) and this (rad) add little to each other.
_APART_M, _APART_RAD = 0.3, 0.26
# A turn by this (rad) hides as much of a place as a metre of distance does.
_RAD_PER_M = 0.26
# Distance (m) of places that can be expected in view.
_REACH_M = 10.0
# How far (rad of a ray) a landmark may be from where a first pose expects it.
_NEAR_RAD = 0.016
# A pose that most of the rest of the matches fit, against those that fit the first one, contradicts
# it. The rest is this many times the error of a match that fits away, the other pose so far (m).
_RIVAL_SHARE, _REST_ERRORS, _MIN_RIVAL_M = 0.5, 3.0, 0.5
_TOO_FEW = "too few landmarks of the map fit one"
# Landmarks that must fit a first pose and a final one: views of another corner reach 12 and 35.
_MIN_FIRST, _MIN_LANDMARKS = 20, 40
# A pose whose position is less certain than this (m) says little more than its place does. Against
# triangulated landmarks, a wrong pose may fit as many of them, and is less certain than this.
_MAX_SIGMA_M, _MAX_SIGMA_TRIANGULATED_M = 0.3, 0.09
# What images leave open of the lens may add as much.
_MAX_SIGMA_OPEN_M = _MAX_SIGMA_M * math.sqrt(2.0)
# Errors of triangulated landmarks are shared by many of them: factor of the standard deviations.
_TRIANGULATED_INFLATION = 1.5
# Landmarks around a place share the error of the mean of the map's poses there: this share of that
# of one pose.
_SHARED = 0.4
# Focal lengths that differ by less expect the same landmarks at the same points.
_SAME_ZOOM = 0.02
# Local features are recognised where they are seen up to this much larger or smaller.
_SAME_SCALE = 1.3


class SeenPlace(NamedTuple):
    """Place of most of the landmarks that tell a pose, and where images show these.

    query, place: [n, 2] points as shares (0-1) of the width and height of each image.
    """

    place_id: int
    query: NDArray[np.float32]
    place: NDArray[np.float32]


class MetricPose(NamedTuple):
    """Pose of the camera against the landmarks of a map.

    covariance: [6, 6] of x, y, z (m²) and of turns about the axes of the map (rad²). landmarks: how
    many fit. places: ids of the places that they are of. best: the one to show, None unknown.
    """

    pose: CameraPose
    covariance: FloatArray
    landmarks: int
    places: tuple[int, ...]
    best: SeenPlace | None = None


class NoPose(NamedTuple):
    """Why the landmarks of a map do not tell the pose of a camera, in words.

    final: whether more places would not help.
    """

    reason: str
    final: bool = False


class _Pairs(NamedTuple):
    """Rows of query features [n], the landmarks [n, 3] that they match, and whose they are [n].

    spread: [n, 3] of `landmark_spread`. features: [n] their rows among the features of these
    places.
    """

    rows: IntArray
    landmarks: FloatArray
    spread: FloatArray
    place: IntArray
    features: IntArray


class MetricLocalizer:
    """Localizer of calibrated images against the landmarks of one map."""

    def __init__(self, places: PlacePoses, features: PlaceFeatureCache) -> None:
        """Localize against the landmarks of places [n]."""
        self._places, self._features = places, features
        self._lenses = LensHistory(_TRIANGULATED_INFLATION if features.triangulated else 1.0)

    def localize(self, query: QueryView, rows: IntArray) -> MetricPose | NoPose:
        """Return the pose of an image, or why landmarks do not tell it.

        Its camera need not be the map's. rows: of the most similar places, best first.
        """
        if query.camera is None:
            return NoPose(query.camera_fault)
        seen: QueryView | None = None
        found: MetricPose | NoPose = NoPose("the most similar places have no 3-D points")
        for count in (_FIRST, _RETRY):
            first = self._distinct(rows, count)
            places = [place for place in self._known(first) if place and len(place.landmark_rows)]
            if not places:
                continue
            seen = seen or _as_seen_by(query, query.camera, places)
            assert seen.rays is not None
            found = self._solved(seen, seen.rays, first)
            if isinstance(found, MetricPose) or found.final or len(first) < count:
                break
        return found

    def _solved(self, query: QueryView, rays: FloatArray, first: IntArray) -> MetricPose | NoPose:
        """Return the pose that fits the places `first`, and those which it expects in view."""
        matched = self._matched(query, rays, first)
        found = fitted_pose(rays[matched.rows], matched.landmarks, FIRST_ERROR_PX)
        if found is None or np.count_nonzero(found.inliers) < _MIN_FIRST:
            return NoPose(_TOO_FEW)
        expected = self._expected(query, rays, found.pose, first)
        pairs = _once(_joined([_chosen(matched, found.inliers), expected]))
        refined = absolute_pose(rays[pairs.rows], pairs.landmarks, FINAL_ERROR_PX, found.pose)
        if refined is None or np.count_nonzero(refined.inliers) < _MIN_LANDMARKS:
            return NoPose(_TOO_FEW)
        covariance, max_sigma_m = refined.covariance, _MAX_SIGMA_M
        if self._features.triangulated:
            covariance = covariance * _TRIANGULATED_INFLATION**2
            max_sigma_m = _MAX_SIGMA_TRIANGULATED_M
        fault = _uncertain("landmarks leave", covariance, max_sigma_m)
        if fault:
            # Of more places, a wrong pose may seem certain.
            return NoPose(fault, final=True)
        fault = _rival(rays, matched, refined.pose)
        if fault:
            return NoPose(fault)
        pairs = _chosen(pairs, refined.inliers)
        lens = self._fitting_lens(query, rays, matched, expected, refined.pose, first)
        assert query.intrinsics is not None
        verdict = self._lenses.judge(
            query.intrinsics, lens, refined.pose.position, self._has_seen(query.intrinsics, pairs)
        )
        if verdict.open is not None:
            drift = lens_drift(rays[pairs.rows], pairs.landmarks, refined.pose)
            covariance = covariance + drift @ verdict.open @ drift.T
        fault = verdict.fault or _uncertain(
            "an open focal length leaves", covariance, _MAX_SIGMA_OPEN_M
        )
        if fault:
            return NoPose(fault, final=verdict.unconfirmed)
        covariance = covariance + np.diag(np.repeat(self._features.pose_errors, 3) * _SHARED) ** 2
        return MetricPose(
            refined.pose,
            covariance,
            len(pairs.rows),
            tuple(self._places.ids[np.unique(pairs.place)].tolist()),
            self._best(query, pairs),
        )

    def _fitting_lens(
        self,
        query: QueryView,
        rays: FloatArray,
        matched: _Pairs,
        expected: _Pairs,
        pose: CameraPose,
        first: IntArray,
    ) -> Lens:
        """Return the lens that fits all matches best.

        Those that were looked for near a pose speak for its lens, so that as many are looked for
        near that of the best other one.
        """
        starts = zoomed(pose, matched.landmarks)
        # Landmarks that may err along their rays fit any focal length.
        other = fitting_lens(Correspondences(rays[matched.rows], matched.landmarks), starts)
        pairs = [matched, expected]
        if abs(other.scale - 1.0) > _SAME_ZOOM:
            pairs.append(self._expected(query, other.unbent(rays), other.pose, first))
        everything = self._seen(rays, _once(_joined(pairs)))
        return fitting_lens(everything, [(pose, 1.0), (other.pose, other.scale)])

    def _seen(self, rays: FloatArray, pairs: _Pairs) -> Correspondences:
        """Return the rays and landmarks of pairs. Depth is as good in all directions."""
        spread = pairs.spread if self._features.triangulated else None
        return Correspondences(rays[pairs.rows], pairs.landmarks, spread)

    def _has_seen(self, camera: Intrinsics, pairs: _Pairs) -> bool:
        """Whether a place of some pairs was seen by a camera of the same calibration."""
        known = self._known(np.unique(pairs.place))
        cameras = {place.intrinsics for place in known if place and place.intrinsics}
        return any(camera.is_like(one) for one in cameras)

    def _best(self, query: QueryView, pairs: _Pairs) -> SeenPlace | None:
        """Return the place of most pairs, and where both images show these."""
        rows, count = np.unique(pairs.place, return_counts=True)
        row = rows[count.argmax()]
        (place,) = self._known(np.array([row]))
        if place is None:
            return None
        of_it = pairs.place == row
        return SeenPlace(
            int(self._places.ids[row]),
            _shares(query.features.points[pairs.rows[of_it]], query.features.size),
            _shares(place.points[pairs.features[of_it]], place.size),
        )

    def _expected(
        self, query: QueryView, rays: FloatArray, pose: CameraPose, first: IntArray
    ) -> _Pairs:
        """Return the matches with more places, near where a first pose expects their landmarks."""
        position = self._places.position
        # One axis first: few places of a large map are left to look at.
        near = np.flatnonzero(np.abs(position[:, 0] - pose.position[0]) < _REACH_M)
        near = near[(np.abs(position[near] - pose.position) < _REACH_M).all(axis=1)]
        looking = self._places.yaw_rad[near] + self._camera_yaw(first)
        turn = np.abs(wrap_angle(looking - pose.yaw_rad))
        apart = np.linalg.norm(position[near] - pose.position, axis=1)
        cost = apart + np.nan_to_num(turn) / _RAD_PER_M
        more = self._distinct(near[np.argsort(cost)], _MORE)
        known = [(row, one) for row, one in zip(more, self._known(more), strict=True) if one]
        if not known:
            return _joined([])
        theirs, landmarks, spread = (
            np.concatenate(parts)
            for parts in zip(*(place.with_landmarks for _, place in known), strict=True)
        )
        owner = np.repeat(np.arange(len(known)), [len(one.landmark_rows) for _, one in known])
        positions = rays, _expected_rays(landmarks, pose)
        found = matches_nearby(query.features.descriptors, theirs, positions, _NEAR_RAD, owner)
        features = np.concatenate([place.landmark_rows for _, place in known])
        return _Pairs(
            found.first,
            landmarks[found.second],
            spread[found.second],
            np.array([row for row, _ in known])[owner[found.second]],
            features[found.second],
        )

    def _matched(self, query: QueryView, rays: FloatArray, rows: IntArray) -> _Pairs:
        """Return the matches of all features with places."""
        usable = np.flatnonzero(np.isfinite(rays).all(axis=1))
        descriptors = query.features.descriptors[usable]
        parts = []
        for row, place in zip(rows, self._known(rows), strict=True):
            if place is None:
                continue
            theirs, landmarks, spread = place.with_landmarks
            found = mutual_matches(descriptors, theirs)
            owner = np.full(len(found.first), row)
            features = place.landmark_rows[found.second]
            of_it = landmarks[found.second], spread[found.second]
            parts.append(_Pairs(usable[found.first], *of_it, owner, features))
        return _joined(parts)

    def _camera_yaw(self, rows: IntArray) -> float:
        """Return how far a camera is turned from the direction of its place, as on a robot (rad).

        rows: of places that were seen. 0 where they do not tell.
        """
        yaws = np.array([math.nan if one is None else one.yaw_rad for one in self._known(rows)])
        turns = yaws - self._places.yaw_rad[rows]
        return float(np.angle(np.exp(1j * turns[np.isfinite(turns)]).sum()))

    def _known(self, rows: IntArray) -> list[KnownPlace | None]:
        return self._features.of(self._places.ids[rows].tolist())

    def _distinct(self, rows: IntArray, count: int) -> IntArray:
        """Return the first `count` rows whose places differ enough to add to each other."""
        chosen: list[int] = []
        while len(rows) and len(chosen) < count:
            chosen.append(rows[0])
            apart = np.linalg.norm(
                self._places.position[rows] - self._places.position[rows[0]], axis=1
            )
            turn = np.abs(wrap_angle(self._places.yaw_rad[rows] - self._places.yaw_rad[rows[0]]))
            rows = rows[(apart > _APART_M) | (turn > _APART_RAD)]
        return np.array(chosen, np.int64)


def _uncertain(leaves: str, covariance: FloatArray, max_sigma_m: float) -> str:
    """Return that a position is less certain than this, "" where it is not."""
    sigma_m = np.sqrt(np.trace(covariance[:3, :3]))
    return f"{leaves} its position uncertain by {sigma_m:.2f} m" if sigma_m > max_sigma_m else ""


def _rival(rays: FloatArray, matched: _Pairs, pose: CameraPose) -> str:
    """Return which other pose many of the landmarks fit, "" where they fit none.

    matched: pairs without regard to the pose.
    """
    error = rays[matched.rows] - _expected_rays(matched.landmarks, pose)
    error_px = FOCAL_PX * np.hypot(*error.T)
    fitting = np.count_nonzero(error_px < FIRST_ERROR_PX)
    rest = _chosen(matched, ~(error_px < _REST_ERRORS * FIRST_ERROR_PX))
    if len(rest.rows) < _RIVAL_SHARE * fitting:
        return ""
    rival = fitted_pose(rays[rest.rows], rest.landmarks, FIRST_ERROR_PX)
    if rival is None or np.count_nonzero(rival.inliers) < _RIVAL_SHARE * fitting:
        return ""
    apart_m = np.linalg.norm(rival.pose.position - pose.position)
    if apart_m < _MIN_RIVAL_M:
        return ""
    return f"landmarks fit a pose {apart_m:.1f} m from another one that as many fit"


def _as_seen_by(query: QueryView, camera: Intrinsics, places: list[KnownPlace]) -> QueryView:
    """Return the view of a query at the focal length of the cameras that saw the places."""
    known = [place.focal_px for place in places if place.focal_px is not None]
    size = camera.width, camera.height
    found_at = camera.focal_x * working_side(size) / max(size)
    if not known or 1.0 / _SAME_SCALE < np.median(known) / found_at < _SAME_SCALE:
        return query
    return query.with_focal_length(float(np.median(known)))


def _expected_rays(landmarks: FloatArray, pose: CameraPose) -> FloatArray:
    """Return where the rays of landmarks [n, 3] meet a camera's plane z = 1; NaN behind it."""
    seen = pose.to_camera(landmarks)
    return seen[:, :2] / np.where(seen[:, 2:] > 0.0, seen[:, 2:], np.nan)


def _chosen(pairs: _Pairs, which: NDArray[np.bool_] | IntArray) -> _Pairs:
    """Return some of the pairs."""
    rows, landmarks, spread, place, features = pairs
    return _Pairs(rows[which], landmarks[which], spread[which], place[which], features[which])


def _once(pairs: _Pairs) -> _Pairs:
    """Return pairs without those that are there twice, as of a place that was compared twice."""
    keys = np.stack([pairs.rows, pairs.place, pairs.features])
    return _chosen(pairs, np.unique(keys, axis=1, return_index=True)[1])


def _joined(parts: list[_Pairs]) -> _Pairs:
    none, nowhere = np.empty(0, np.int64), np.empty((0, 3))
    columns = zip(_Pairs(none, nowhere, nowhere, none, none), *parts, strict=True)
    return _Pairs(*(np.concatenate(column) for column in columns))


def _shares(points: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """Return pixels [n, 2] as shares of the width and height of their image."""
    return np.asarray((points + 0.5) / np.array(size, np.float32), np.float32)
