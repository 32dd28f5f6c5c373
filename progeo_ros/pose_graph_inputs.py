"""A drive as messages tell it: odometry, closures and map poses into a pose graph."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from geometry_msgs.msg import PoseWithCovarianceStamped
from nav_msgs.msg import Odometry

from progeo_core.poses.planar_pose import compose
from progeo_core.poses.pose_buffer import PoseBuffer
from progeo_core.poses.pose_messages import read_pose, stamp_of
from progeo_core.slam.pose_graph import (
    LoopConstraint,
    OptimizedTrajectory,
    PoseGraph,
    PoseGraphSettings,
    PosePrior,
)
from progeo_ros.inputs.odometry import OdometryPose
from progeo_ros.outputs.loop_messages import keyframe_stamp

# Time that goes back further than this (ns) began anew: simulation, or a bag played again.
_RESTART_NS = 1_000_000_000
_PLANAR = np.ix_([0, 1, 5], [0, 1, 5])


class GraphCounts(NamedTuple):
    """Count what came: closures and map poses taken, waiting for odometry, and refused."""

    restarts: int
    segments: int
    loops: int
    waiting: int
    refused: int
    priors: int


class PoseGraphInputs:
    """Collect one drive; time that starts again starts another one."""

    def __init__(self, settings: PoseGraphSettings) -> None:
        """Raise `MissingDependencyError` without GTSAM."""
        self._settings = settings
        self._restarts = self._refused = 0
        self._begin()

    @property
    def counts(self) -> GraphCounts:
        """Return what came of this drive; restarts and refused: of all."""
        return GraphCounts(
            self._restarts,
            self._odometry.segment,
            self._loops,
            len(self._waiting),
            self._refused,
            self._priors,
        )

    def add_odometry(self, odometry: OdometryPose) -> bool:
        """Take a pose; return whether a new drive began with it."""
        restarted = odometry.stamp_ns < self.graph.newest_ns - _RESTART_NS
        if restarted:
            self._restarts += 1
            self._begin()
        self._odometry.add(odometry.stamp_ns, odometry.position, odometry.yaw_rad)
        self.graph.add_odometry(odometry.stamp_ns, odometry.planar, self._odometry.segment)
        self._take_waiting()
        return restarted

    def add(self, constraint: LoopConstraint | PosePrior | None) -> None:
        """Take a closure or map pose, once odometry has come as far; None is a message of none."""
        if constraint is None:
            self._refused += 1
        else:
            self._waiting.append(constraint)
            self._take_waiting()

    def _begin(self) -> None:
        self.graph = PoseGraph(self._settings)
        self._odometry = PoseBuffer()
        self._waiting: list[LoopConstraint | PosePrior] = []
        self._loops = self._priors = 0

    def _take_waiting(self) -> None:
        """Add what odometry covers by now."""
        still = []
        for constraint in self._waiting:
            if _newest_ns(constraint) > self.graph.newest_ns:
                still.append(constraint)
            elif isinstance(constraint, PosePrior):
                taken = self.graph.add_prior(constraint)
                self._priors += taken
                self._refused += not taken
            else:
                taken = self.graph.add_loop(constraint)
                self._loops += taken
                self._refused += not taken
        self._waiting = still


def loop_constraint(message: Odometry) -> LoopConstraint | None:
    """Read a message of ~/loop_closure; None where it names no keyframe or no pose."""
    from_ns = keyframe_stamp(message.header.frame_id)
    to_ns = stamp_of(message)
    read = _planar(message)
    if read is None or not min(from_ns, to_ns) > 0 or from_ns == to_ns:
        return None
    return LoopConstraint(from_ns, to_ns, *read)


def pose_prior(message: PoseWithCovarianceStamped) -> PosePrior | None:
    """Read a pose in the map; None where it has no stamp, no pose or no covariance."""
    stamp_ns, read = stamp_of(message), _planar(message)
    return PosePrior(stamp_ns, *read) if read is not None and stamp_ns > 0 else None


def _planar(
    message: Odometry | PoseWithCovarianceStamped,
) -> tuple[np.ndarray, np.ndarray] | None:
    """Return pose [3] and covariance [3, 3] on level ground, None where they are none."""
    pose = read_pose(message).planar
    covariance = np.array(message.pose.covariance).reshape(6, 6)[_PLANAR]
    if not (np.isfinite(pose).all() and np.isfinite(covariance).all()):
        return None
    is_positive = np.linalg.eigvalsh((covariance + covariance.T) / 2).min() > 0.0
    return (pose, covariance) if is_positive else None


def _newest_ns(constraint: LoopConstraint | PosePrior) -> int:
    if isinstance(constraint, PosePrior):
        return constraint.stamp_ns
    return max(constraint.from_ns, constraint.to_ns)


def corrected(odometry: OdometryPose, solved: OptimizedTrajectory | None) -> np.ndarray:
    """Return the pose [3] in the corrected frame of a pose of the odometry."""
    pose = odometry.planar
    return pose if solved is None else compose(solved.map_to_odometry(), pose)
