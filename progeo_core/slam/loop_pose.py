"""Relative pose of a loop closure: one keyframe as seen from another."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from progeo_core.geo import FloatArray, wrap_angle
from progeo_core.poses.camera_pose import rotation_of
from progeo_core.poses.planar_pose import between, compose
from progeo_core.poses.pose_estimate import UNOBSERVED_VARIANCE, PoseEstimate
from progeo_core.poses.transform import Transform
from progeo_core.slam.keyframes import Keyframe
from progeo_core.verification.pose_refinement import refine_pose

# A camera seldom looks in exactly the same direction again (rad), as in the consensus of matches.
_YAW_FLOOR_RAD = 0.26
# Estimates of one relative pose that differ by more standard deviations than this contradict.
_MAX_SIGMAS = 3.0


class RelativePose(NamedTuple):
    """Pose [3]: x, y (m), yaw (rad), and covariance [6, 6] of x, y, z, roll, pitch, yaw.

    What one camera on level ground cannot observe has a variance of 10^6, and so has the position
    where no odometry gave a scale. full: the pose in six degrees of freedom, None unknown.
    """

    pose: FloatArray
    covariance: FloatArray
    full: Transform | None = None

    def agrees_with(self, other: RelativePose) -> bool:
        """Whether two relative poses differ by no more than three of their deviations."""
        offset = self.pose - other.pose
        offset[2] = wrap_angle(offset[2])
        variance = np.diag(self.covariance + other.covariance)[[0, 1, 5]]
        return bool((offset**2 <= _MAX_SIGMAS**2 * variance).all())


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


def relative_of_base(match: Transform, base: PoseEstimate) -> RelativePose:
    """Return the pose of a query's base as seen from that of its match.

    match: pose of its base in the frame of the odometry, base: of the query's in the same frame.
    """
    assert base.orientation is not None
    full = match.inverse().then(Transform(base.position, base.orientation))
    # Turns and positions are along the axes of the match now.
    axes = np.kron(np.eye(2), rotation_of(match.orientation).T)
    return RelativePose(
        np.array([*full.position[:2], full.heading_rad]), axes @ base.covariance @ axes.T, full
    )


def turned_relative(relative: RelativePose, turn_rad: float) -> RelativePose:
    """Return a relative pose whose yaw is that of the geometry of the two images."""
    x, y, yaw = relative.pose
    estimate = PoseEstimate(np.array([x, y, 0.0]), float(yaw), relative.covariance, confidence=1.0)
    turned = refine_pose(estimate, np.zeros(3), turn_rad, math.nan, math.nan)
    return RelativePose(np.array([x, y, turned.yaw_rad]), turned.covariance)
