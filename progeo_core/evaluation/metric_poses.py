"""Errors of full camera poses against the true ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from progeo_core.geo import FloatArray
from progeo_core.localization.answer import Localization
from progeo_core.poses.camera_pose import rotation_of

_LIMITS = {"0.10m_5deg": (0.10, 5.0), "0.25m_2deg": (0.25, 2.0), "0.50m_5deg": (0.50, 5.0)}
_WRONG_M = 0.5
# Quantile of chi-square with three degrees of freedom: the ellipsoid that holds nine in ten.
_CHI_SQUARE_90 = 6.251


class MetricPoseErrors(NamedTuple):
    """Errors of the full poses of queries [n]; infinite where there is none.

    position_m: metres in space. rotation_deg: angle between the orientations. in_ellipsoid: whether
    the true position is in the 90 % ellipsoid of the stated covariance.
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


def metric_pose_errors(
    answers: Sequence[Localization], position: FloatArray, orientation: FloatArray
) -> MetricPoseErrors:
    """Compare the full poses of answers [n] with the true ones.

    position: [n, 3] metres. orientation: [n, 4] quaternions of the camera's optical axes; where one
    is unknown (NaN), so is the error of the rotation, which counts as infinite.
    """
    count = len(answers)
    errors = MetricPoseErrors(
        np.full(count, math.inf), np.full(count, math.inf), np.zeros(count, np.bool_)
    )
    truth = rotation_of(orientation)
    for row, answer in enumerate(answers):
        if answer.metric is None:
            continue
        offset = answer.metric.pose.position - position[row]
        errors.position_m[row] = np.linalg.norm(offset)
        trace = float(np.trace(answer.metric.pose.rotation.T @ truth[row]))
        if math.isfinite(trace):
            errors.rotation_deg[row] = math.degrees(
                math.acos(np.clip((trace - 1.0) / 2.0, -1.0, 1.0))
            )
        distance = offset @ np.linalg.solve(answer.metric.covariance[:3, :3], offset)
        errors.in_ellipsoid[row] = distance <= _CHI_SQUARE_90
    return errors


def _quantiles(values: FloatArray) -> dict[str, float | None]:
    finite = values[np.isfinite(values)]
    return {
        name: float(np.quantile(finite, level)) if finite.size else None
        for name, level in (("median", 0.5), ("p90", 0.9))
    }
