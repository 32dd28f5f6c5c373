"""Consensus of the most similar places: one pose with its uncertainty."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from numpy.typing import NDArray

from progeo_core.errors import DataError
from progeo_core.geo import FloatArray
from progeo_core.localization.fitted_constants import SingleImageConstants
from progeo_core.localization.map_spacing import spacing_of
from progeo_core.localization.place_filter import Belief
from progeo_core.poses.pose_estimate import UNOBSERVED_VARIANCE, PoseEstimate
from progeo_core.settings import Settings, setting

# No place is smaller than this many spacings of the map.
_MIN_RADIUS_SPACINGS = 1.5
# Places nearer than this share of a place's radius show the same.
_SAME_VIEW_RADII = 0.2
# Beyond the spread of a uniform direction (pi²/3) a mean direction says nothing.
_UNIFORM_YAW_VARIANCE = math.pi**2 / 3.0
# Images in a row err alike: belief that gathers them is surer of a position by this power.
_GATHERED = 1.5
# Weight within so many place radii makes the covariance of an answer more probable than this.
_SPREAD_RADII, _HALF = 2.0, 0.5
# Unit descriptors are stored as float16, so two equal images differ by about this much (1 - cos).
_DESCRIPTOR_NOISE = 1e-4


@dataclasses.dataclass(frozen=True)
class ConsensusSettings(Settings):
    """Settings for how matches become a pose."""

    place_radius_m: float = setting(
        2.5,
        "Matches within this distance (m) are the same place, and the confidence is about being"
        " this near; at least one and a half spacings of the map's places",
        low=0.01,
        high=1e8,
    )
    position_floor_m: float = setting(
        0.5, "Smallest standard deviation of a position (m), per axis", low=1e-3, high=1e3
    )
    yaw_floor_rad: float = setting(
        0.26,
        "Smallest standard deviation of a yaw (rad): a camera seldom looks exactly like its match",
        low=1e-3,
        high=math.pi,
    )

    def widened(self, spacing_m: float) -> ConsensusSettings:
        """Return the settings for a map of this spacing: no place is smaller than 1.5 spacings."""
        radius_m = max(self.place_radius_m, _MIN_RADIUS_SPACINGS * spacing_m)
        return dataclasses.replace(self, place_radius_m=radius_m)

    def told_apart_m(self, spacing_m: float) -> float:
        """Return how far apart (m) places of a map of this spacing are told from each other.

        Where places are denser, an image does not tell one from the next.
        """
        return max(spacing_m, _SAME_VIEW_RADII * self.place_radius_m)


def usual_place_radius_m(spacing_m: float) -> float:
    """Return the radius (m) of a place in a map of this spacing, where no setting says another."""
    return ConsensusSettings().widened(spacing_m).place_radius_m


def usual_radius_of(position: FloatArray) -> float:
    """Return the radius (m) of a place in a map of places at positions [n, 3], by their spacing."""
    return usual_place_radius_m(spacing_of(position))


def estimate_pose(
    similarity: NDArray[np.floating],
    position: FloatArray,
    yaw_rad: FloatArray,
    settings: ConsensusSettings | None = None,
    *,
    constants: SingleImageConstants | None = None,
    resolution_m: float = 0.0,
    on_map: float = 1.0,
) -> PoseEstimate:
    """Return the pose that the matches of one image agree on.

    similarity: [k] cosine. position: [k, 3] metres. yaw_rad: [k], NaN unknown. on_map: how
    probable it is that the image is from the map at all.
    resolution_m: spacing of the map's places, which bounds how well a position can be known.
    The best place wins as a whole; matches elsewhere lower the confidence, never move the mean.
    Raises `DataError` without matches.
    """
    settings, fitted = settings or ConsensusSettings(), constants or SingleImageConstants()
    cosine: FloatArray = np.asarray(similarity, np.float64)
    if not cosine.size:
        raise DataError("no match to localize with: the map holds no places")
    gap = place_gap(cosine, position, settings.place_radius_m)
    return pose_from_weights(
        match_weights(cosine, fitted.sharpness),
        position,
        yaw_rad,
        settings,
        confidence=on_map * _logistic(fitted.gap_slope * (gap - fitted.gap_at_half)),
        resolution_m=resolution_m,
    )


def estimate_from_belief(
    belief: Belief, yaw_rad: FloatArray, settings: ConsensusSettings, resolution_m: float
) -> PoseEstimate:
    """Return the pose of the most probable place; its probability is the confidence.

    Images in a row err alike, so that belief which gathers them is surer of a position than it may
    be. So the covariance also holds where the last image by itself would have put it.
    yaw_rad: [s] of the belief's places. resolution_m: spacing of the map's places.
    """
    mode = dominant_mode(belief.probability, belief.position, settings.place_radius_m)
    return pose_from_weights(
        belief.probability,
        belief.position,
        yaw_rad,
        settings,
        confidence=min(float(belief.probability[mode].sum()), 1.0),
        resolution_m=resolution_m,
        log_odds=belief.log_odds,
    )


def pose_from_weights(
    weight: FloatArray,
    position: FloatArray,
    yaw_rad: FloatArray,
    settings: ConsensusSettings,
    *,
    confidence: float,
    resolution_m: float = 0.0,
    log_odds: FloatArray | None = None,
) -> PoseEstimate:
    """Return the pose of the heaviest place; the spread of the weight near it is the covariance.

    Where the place is more probable than all others together, weight farther than twice the place
    radius is not in the covariance but in the confidence: no ellipse can say "here or there".
    weight: [k], not negative. position: [k, 3] metres. yaw_rad: [k], NaN unknown. log_odds: [k] by
    one image alone, None where that is what the weight is of.
    """
    weight = weight / weight.sum()
    mode = dominant_mode(weight, position, settings.place_radius_m)
    center = np.average(position[mode], axis=0, weights=weight[mode])
    offset = position - center
    near = np.linalg.norm(offset, axis=1) <= _SPREAD_RADII * settings.place_radius_m
    counted = weight * near if confidence > _HALF else weight
    covariance = np.diag(np.full(6, UNOBSERVED_VARIANCE))
    # A query lies anywhere within half a spacing of its place: a uniform distribution's sigma.
    floor = max(settings.position_floor_m, resolution_m / math.sqrt(12.0))
    if log_odds is not None:
        counted = counted ** (1.0 / _GATHERED)
    share = counted / counted.sum()
    covariance[:3, :3] = (offset * share[:, None]).T @ offset + floor**2 * np.eye(3)
    if log_odds is not None:
        seen = np.exp(log_odds[near] - log_odds[near].max())
        beside = np.average(offset[near], axis=0, weights=seen)
        covariance[:3, :3] += np.outer(beside, beside)
    yaw, covariance[5, 5] = _yaw(weight, yaw_rad, mode, settings.yaw_floor_rad)
    return PoseEstimate(center, yaw, covariance, confidence)


def match_weights(similarity: FloatArray, sharpness: float) -> FloatArray:
    """Return weights [k] that fall with how much farther a match is than the best one.

    (1 - cosine) is taken relative to the best match's, so models whose cosines crowd near 1 and
    models whose cosines spread widely need no scale of their own.
    """
    distance = 1.0 - similarity + _DESCRIPTOR_NOISE
    weight: FloatArray = np.exp(-sharpness * (distance / distance.min() - 1.0))
    return weight


def dominant_mode(weight: FloatArray, position: FloatArray, radius_m: float) -> NDArray[np.bool_]:
    """Return which matches [k] belong to the place with most weight."""
    free = np.ones(len(weight), dtype=bool)
    best, best_weight = free, -1.0
    while free.any() and weight[free].sum() > best_weight:
        mode = _grow_place(weight, position, radius_m, free)
        free &= ~mode
        if weight[mode].sum() > best_weight:
            best, best_weight = mode, float(weight[mode].sum())
    return best


def distinct_places(
    weight: FloatArray, position: FloatArray, radius_m: float, most: int
) -> NDArray[np.int64]:
    """Return the number of each match's [k] place, -1 beyond the first `most` places."""
    place = np.full(len(weight), -1)
    for number in range(most):
        free = place < 0
        if not free.any():
            break
        place[_grow_place(weight, position, radius_m, free)] = number
    return place


def _grow_place(
    weight: FloatArray, position: FloatArray, radius_m: float, free: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Return the heaviest free match and all free ones within the radius of it.

    So a chain of neighbouring places is never one place.
    """
    seed = int(np.argmax(np.where(free, weight, -1.0)))
    near: NDArray[np.bool_] = np.linalg.norm(position - position[seed], axis=1) <= radius_m
    return free & near


def place_gap(similarity: FloatArray, position: FloatArray, radius_m: float) -> float:
    """Return how much nearer the best place is than the best other place, 0 (not) to 1.

    The gap is 1 - (1 - cosine of best) / (1 - cosine of best other), a ratio test on squared
    descriptor distances (Lowe 2004). Where all matches are one place, the worst match bounds the
    unseen other places from above; a single match has nothing to be told from: gap 0.
    """
    best = int(np.argmax(similarity))
    other = np.linalg.norm(position - position[best], axis=1) > radius_m
    rival = similarity[other].max() if other.any() else similarity.min()
    ratio = (1.0 - similarity[best] + _DESCRIPTOR_NOISE) / (1.0 - rival + _DESCRIPTOR_NOISE)
    return float(np.clip(1.0 - ratio, 0.0, 1.0))


def presence(level: float, fitted: SingleImageConstants) -> float:
    """Return how probable it is that an image is from the map by how alike its best place is.

    level: that similarity in standard deviations of the similarity of far places of the map. The
    gap cannot say so: among the wrong places, too, one may stand out.
    """
    return _logistic(fitted.presence_slope * (level - fitted.presence_at_half))


def _logistic(log_odds: float) -> float:
    """Return the probability of log odds, without overflow."""
    return 0.5 * (1.0 + math.tanh(log_odds / 2.0))


def _yaw(
    weight: FloatArray, yaw_rad: FloatArray, mode: NDArray[np.bool_], floor_rad: float
) -> tuple[float, float]:
    """Return the mean direction within the mode (NaN unknown) and its variance (rad²)."""
    known = mode & np.isfinite(yaw_rad)
    total = weight[known].sum()
    if not total > 0.0:
        return math.nan, UNOBSERVED_VARIANCE
    east = float(weight[known] @ np.cos(yaw_rad[known]) / total)
    north = float(weight[known] @ np.sin(yaw_rad[known]) / total)
    # Mardia & Jupp, Directional Statistics, section 2.3: sigma² = -2 ln R.
    length = min(math.hypot(east, north), 1.0)
    if length <= math.exp(-_UNIFORM_YAW_VARIANCE / 2.0):
        return math.nan, UNOBSERVED_VARIANCE
    return math.atan2(north, east), -2.0 * math.log(length) + floor_rad**2
