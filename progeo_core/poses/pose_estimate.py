"""A pose in the map frame, and how certain it is."""

from __future__ import annotations

from typing import NamedTuple

from progeo_core.geo import FloatArray

# Variance of what nothing observed (m² or rad²): consumers such as EKFs then ignore the axis.
UNOBSERVED_VARIANCE = 1e6


class PoseEstimate(NamedTuple):
    """Pose in the map frame, and how certain it is.

    position: [3] metres east, north, up. yaw_rad: counter-clockwise from east, NaN unknown.
    covariance: [6, 6] in the order x y z roll pitch yaw (m², rad²); axes that nothing observed
    have `UNOBSERVED_VARIANCE`, none is zero. Turns are about the axes of the map. confidence: 0-1.
    orientation: [4] quaternion x y z w that turns the robot's axes into those of the map, None
    where at most the yaw is known.
    """

    position: FloatArray
    yaw_rad: float
    covariance: FloatArray
    confidence: float
    orientation: FloatArray | None = None
