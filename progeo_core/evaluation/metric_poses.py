"""Errors of full camera poses against the true ones, beside those of the most similar places."""

from __future__ import annotations

import collections
import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from progeo_core.geo import FloatArray, wrap_angle
from progeo_core.localization.answer import Localization
from progeo_core.poses.camera_pose import rotation_of, yaw_of

_LIMITS = {"0.10m_5deg": (0.10, 5.0), "0.25m_2deg": (0.25, 2.0), "0.50m_5deg": (0.50, 5.0)}
_WRONG_M = 0.5
# What the reason of an answer has before why it is of a place only.
_NO_POSE = "; no metric pose: "
# Quantiles of chi-square: the ellipse and the ellipsoid that hold nine in ten.
_CHI_SQUARE_90 = {2: 4.605, 3: 6.251}


class MetricPoseErrors(NamedTuple):
    """Errors of the full poses of queries [n]; infinite where there is none.

    position_m: metres in space, in the plane where the true height is unknown. rotation_deg: angle
    between the orientations, infinite where the true one is unknown. in_ellipsoid: whether the true
    position is in the 90 % ellipsoid of the stated covariance.
    """

    position_m: FloatArray
    rotation_deg: FloatArray
    in_ellipsoid: NDArray[np.bool_]

    @property
    def answered(self) -> NDArray[np.bool_]:
        """Whether each query has a full pose [n]."""
        return np.asarray(np.isfinite(self.position_m))

    def to_json(self) -> dict[str, Any]:
        """Return the figures: shares are of all queries, medians of those with a pose."""
        known = self.answered
        return {
            "answered": float(known.mean()),
            "position_error_m": _quantiles(self.position_m[known]),
            "rotation_error_deg": _quantiles(self.rotation_deg[known]),
            "within": {
                name: float(np.mean((self.position_m <= metres) & (self.rotation_deg <= degrees)))
                for name, (metres, degrees) in _LIMITS.items()
            },
            "wrong_beyond_0.5m": float(np.mean(known & (self.position_m > _WRONG_M))),
            "ellipsoid_90": float(self.in_ellipsoid[known].mean()) if known.any() else None,
        }


class PoseComparison(NamedTuple):
    """Errors of the full poses of queries, and those of their most similar places.

    A place has a direction in the plane only, so that its error of the rotation is that of the yaw,
    and no ellipsoid. has_rotation: whether any true orientation is known. why_none: the usual
    reason of queries without a full pose, "" where all have one.
    """

    full: MetricPoseErrors
    places: MetricPoseErrors
    has_rotation: bool
    why_none: str = ""


class PoseRow(NamedTuple):
    """Name of a figure, and its value for full poses and for places, as text for tables."""

    name: str
    full: str
    places: str


def compare_poses(
    answers: Sequence[Localization], position: FloatArray, orientation: FloatArray
) -> PoseComparison:
    """Compare the full poses of answers [n], and their most similar places, with the true poses.

    position: [n, 3] metres, z NaN where unknown. orientation: [n, 4] quaternions of the camera's
    optical axes; where one is unknown (NaN), so is the error of the rotation, which counts as
    infinite.
    """
    full, places = _none_of(len(answers)), _none_of(len(answers))
    truth, true_yaw = rotation_of(orientation), yaw_of(orientation)
    for row, answer in enumerate(answers):
        if answer.matches:
            best = answer.matches[0]
            places.position_m[row] = np.linalg.norm(_offset(best.position, position[row]))
            turn = abs(float(wrap_angle(best.yaw_rad - true_yaw[row])))
            places.rotation_deg[row] = math.degrees(turn) if math.isfinite(turn) else math.inf
        if answer.metric is None:
            continue
        pose = answer.metric.pose
        offset = _offset(pose.position, position[row])
        full.position_m[row] = np.linalg.norm(offset)
        full.rotation_deg[row] = angle_deg(pose.rotation, truth[row])
        covariance = answer.metric.covariance[: len(offset), : len(offset)]
        distance = offset @ np.linalg.solve(covariance, offset)
        full.in_ellipsoid[row] = distance <= _CHI_SQUARE_90[len(offset)]
    has_rotation = bool(np.isfinite(orientation).all(axis=1).any())
    reasons = (_why_none(one.reason) for one in answers if one.metric is None)
    usual = collections.Counter(filter(None, reasons)).most_common(1)
    return PoseComparison(full, places, has_rotation, usual[0][0] if usual else "")


def _why_none(reason: str) -> str:
    """Return of the reason of an answer why it has no full pose, "" where it does not say."""
    return reason.partition(_NO_POSE)[2].partition("; ")[0]


def pose_rows(comparison: PoseComparison) -> list[PoseRow]:
    """Return the main figures of full poses and of places as the rows of a table."""
    columns = (_texts(one, comparison.has_rotation) for one in comparison[:2])
    rows = [PoseRow(name, *values) for (name, *values) in zip(_NAMES, *columns, strict=True)]
    held = comparison.full.to_json()["ellipsoid_90"]
    return [*rows, PoseRow("truths in the 90 % ellipsoid", _share(held), "–")]


def protocol_of_poses(comparison: PoseComparison) -> str:
    """Return one readable line: what the figures of the table are of."""
    queries = len(comparison.full.position_m)
    said = f"Shares are of all {queries} queries, errors of those answered, in space."
    if comparison.why_none:
        silent = queries - int(comparison.full.answered.sum())
        said = f"{said} {silent} have no full pose, most often: {comparison.why_none}."
    if not comparison.has_rotation:
        return f"{said} The true rotation of the camera is unknown."
    return f"{said} The rotation of a place is its direction in the plane."


_NAMES = (
    "answered",
    "position error, median",
    "position error, 90 %",
    "rotation error, median",
    "rotation error, 90 %",
    "within 0.10 m, 5°",
    "within 0.25 m, 2°",
    "within 0.50 m, 5°",
    "wrong by more than 0.5 m",
)


def _texts(errors: MetricPoseErrors, has_rotation: bool) -> Iterator[str]:
    """Yield the figures in the order of their names; shares need the true rotation."""
    figures = errors.to_json()
    yield _share(figures["answered"])
    for level in ("median", "p90"):
        metres = figures["position_error_m"][level]
        yield "–" if metres is None else f"{metres:.3f} m"
    for level in ("median", "p90"):
        degrees = figures["rotation_error_deg"][level]
        yield "–" if degrees is None else f"{degrees:.2f}°"
    for name in _LIMITS:
        yield _share(figures["within"][name] if has_rotation else None)
    yield _share(figures["wrong_beyond_0.5m"])


def _share(value: float | None) -> str:
    return "–" if value is None else f"{100.0 * value:.0f} %"


def _none_of(count: int) -> MetricPoseErrors:
    """Return the errors of queries [n] none of which has a pose."""
    return MetricPoseErrors(
        np.full(count, math.inf), np.full(count, math.inf), np.zeros(count, np.bool_)
    )


def _offset(position: FloatArray, truth: FloatArray) -> FloatArray:
    """Return a position less the true one (m), without height where that is unknown."""
    return (position - truth)[: 3 if math.isfinite(truth[2]) else 2]


def angle_deg(rotation: FloatArray, truth: FloatArray) -> float:
    """Return the angle (degrees) between two rotations [3, 3], infinite where one is unknown."""
    trace = float(np.trace(rotation.T @ truth))
    if not math.isfinite(trace):
        return math.inf
    return math.degrees(math.acos(np.clip((trace - 1.0) / 2.0, -1.0, 1.0)))


def _quantiles(values: FloatArray) -> dict[str, float | None]:
    finite = values[np.isfinite(values)]
    return {
        name: float(np.quantile(finite, level)) if finite.size else None
        for name, level in (("median", 0.5), ("p90", 0.9))
    }
