"""From where, exactly, was a place seen again? The pose of one keyframe as seen from another."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from progeo_core.geo import FloatArray, wrap_angle
from progeo_core.poses.planar_pose import between, compose
from progeo_core.poses.pose_estimate import UNOBSERVED_VARIANCE, PoseEstimate
from progeo_core.slam.keyframes import Keyframe
from progeo_core.verification.pose_refinement import refine_pose
from progeo_core.verification.two_view_geometry import TwoViewGeometry

# A camera seldom looks exactly the way it did (rad), as in the consensus of matches.
_YAW_FLOOR_RAD = 0.26


class RelativePose(NamedTuple):
    """Hold x, y (m), yaw (rad) [3] and the covariance [6, 6] of x, y, z, roll, pitch, yaw.

    What one camera on level ground cannot tell has a variance of 10^6, and so has the position
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

    Every pair [n, 3] of a clique says, taken as one place, where the query was: odometry leads from
    `match` to the pair, and from it to the query. The mean by weight [n] is finer than the spacing
    of keyframes; their spread, which images of one drive share, is not made smaller by their count.
    """
    ways = between(query_poses, query.pose)
    said = between(match.pose, compose(match_poses, ways))
    share = weight / weight.sum()
    yaw = float(np.arctan2(share @ np.sin(said[:, 2]), share @ np.cos(said[:, 2])))
    mean = np.array([*(share @ said[:, :2]), yaw])
    offset = np.column_stack([said[:, :2] - mean[:2], wrap_angle(said[:, 2] - yaw)])
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
    relative: RelativePose, view: TwoViewGeometry, spacing_m: float
) -> RelativePose:
    """Return a relative pose, finer by what the two pictures tell, as `refine_pose` does it."""
    x, y, yaw = relative.pose
    estimate = PoseEstimate(np.array([x, y, 0.0]), float(yaw), relative.covariance, confidence=1.0)
    refined = refine_pose(estimate, np.zeros(3), 0.0, view, spacing_m)
    return RelativePose(np.array([*refined.position[:2], refined.yaw_rad]), refined.covariance)
