"""Relative pose of a loop closure: one keyframe as seen from another."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from progeo_core.geo import FloatArray, wrap_angle
from progeo_core.poses.planar_pose import between, compose
from progeo_core.poses.pose_estimate import UNOBSERVED_VARIANCE, PoseEstimate
from progeo_core.slam.keyframes import Keyframe
from progeo_core.verification.pose_refinement import refine_pose

# A camera seldom looks in exactly the same direction again (rad), as in the consensus of matches.
_YAW_FLOOR_RAD = 0.26


class RelativePose(NamedTuple):
    """Pose [3]: x, y (m), yaw (rad), and covariance [6, 6] of x, y, z, roll, pitch, yaw.

    What one camera on level ground cannot observe has a variance of 10^6, and so has the position
    where no odometry gave a scale.
    """

    pose: FloatArray
    covariance: FloatArray


def relative_pose(
    query: Keyframe,
    match: Keyframe,
    query_poses: FloatArray,
    match_poses: FloatArray,
    weight: FloatArray,
    spacing_m: float,
) -> RelativePose:
    """Return the pose of `query` as seen from `match`.

    Every pair [n, 3] of a clique, taken as one place, estimates the query's pose: odometry leads
    from `match` to the pair, and from the pair to the query. The mean by weight [n] is finer than
    the spacing of keyframes; the spread of the estimates does not shrink with their number, as the
    images of one session share their errors.
    """
    steps = between(query_poses, query.pose)
    estimates = between(match.pose, compose(match_poses, steps))
    share = weight / weight.sum()
    yaws = estimates[:, 2]
    yaw = float(np.arctan2(share @ np.sin(yaws), share @ np.cos(yaws)))
    mean = np.array([*(share @ estimates[:, :2]), yaw])
    offset = np.column_stack([estimates[:, :2] - mean[:2], wrap_angle(yaws - yaw)])
    spread = (offset * share[:, None]).T @ offset
    covariance = np.diag(np.full(6, UNOBSERVED_VARIANCE))
    planar = np.ix_([0, 1, 5], [0, 1, 5])
    # Two images of one place lie anywhere within a spacing of each other.
    floor = np.diag([spacing_m**2 / 3.0, spacing_m**2 / 3.0, _YAW_FLOOR_RAD**2])
    covariance[planar] = spread + floor
    if not (query.metric and match.metric):
        covariance[:2] = covariance[:, :2] = 0.0
        covariance[0, 0] = covariance[1, 1] = UNOBSERVED_VARIANCE
        mean[:2] = 0.0
    return RelativePose(mean, covariance)


def refine_relative(
    relative: RelativePose, turn_rad: float, bearing_rad: float, spacing_m: float
) -> RelativePose:
    """Return a relative pose refined by the geometry of the two images (see `refine_pose`)."""
    x, y, yaw = relative.pose
    estimate = PoseEstimate(np.array([x, y, 0.0]), float(yaw), relative.covariance, confidence=1.0)
    refined = refine_pose(estimate, np.zeros(3), turn_rad, bearing_rad, spacing_m)
    return RelativePose(np.array([*refined.position[:2], refined.yaw_rad]), refined.covariance)
