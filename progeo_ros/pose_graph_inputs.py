"""From messages to a pose graph: the odometry, closures and map poses of one session."""

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

# Time that goes back further than this (ns) started again: simulation, or a bag played again.
_RESTART_NS = 1_000_000_000
# Closures and map poses that wait for odometry of their time; older ones give way.
_MAX_WAITING = 1000
# Variances (m², rad²) outside of these say nothing, or are no measurement; GTSAM cannot take them.
_MIN_VARIANCE, _MAX_VARIANCE = 1e-12, 1e12
_PLANAR = np.ix_([0, 1, 5], [0, 1, 5])


class GraphCounts(NamedTuple):
    """Number of closures and map poses taken, waiting for odometry, and refused."""

    restarts: int
    segments: int
    loops: int
    waiting: int
    refused: int
    priors: int


class PoseGraphInputs:
    """Odometry, closures and map poses of one session; time that restarts begins another one."""

    def __init__(self, settings: PoseGraphSettings) -> None:
        """Raise `MissingDependencyError` without GTSAM."""
        self._settings = settings
        self._restarts = self._refused = 0
        self._begin()

    @property
    def counts(self) -> GraphCounts:
        """Return what came in this session; restarts and refused: in all of them."""
        return GraphCounts(
            self._restarts,
            self._odometry.segment,
            self._loops,
            len(self._waiting),
            self._refused,
            self._priors,
        )

    def add_odometry(self, odometry: OdometryPose) -> bool:
        """Add a pose; return whether a new session began with it."""
        restarted = odometry.stamp_ns < self.graph.newest_ns - _RESTART_NS
        if restarted:
            self._restarts += 1
            self._begin()
        self._odometry.add(odometry.stamp_ns, odometry.position, odometry.yaw_rad)
        self.graph.add_odometry(odometry.stamp_ns, odometry.planar, self._odometry.segment)
        self._take_waiting()
        return restarted

    def add(self, constraint: LoopConstraint | PosePrior | None) -> None:
        """Add a closure or map pose once odometry has come as far; None: an unusable message."""
        if constraint is None:
            self._refused += 1
        else:
            if len(self._waiting) == _MAX_WAITING:
                self._waiting.pop(0)
                self._refused += 1
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
    """Read a pose in the map; None where it has no stamp, no pose or no usable covariance."""
    stamp_ns, read = stamp_of(message), _planar(message)
    return PosePrior(stamp_ns, *read) if read is not None and stamp_ns > 0 else None


def _planar(
    message: Odometry | PoseWithCovarianceStamped,
) -> tuple[np.ndarray, np.ndarray] | None:
    """Return pose [3] and covariance [3, 3] on level ground, None where they are unusable."""
    pose = read_pose(message).planar
    covariance = np.array(message.pose.covariance).reshape(6, 6)[_PLANAR]
    # Written so that NaN counts as bad.
    if not (np.isfinite(pose).all() and (np.abs(covariance) <= _MAX_VARIANCE).all()):
        return None
    is_usable = np.linalg.eigvalsh((covariance + covariance.T) / 2).min() >= _MIN_VARIANCE
    return (pose, covariance) if is_usable else None


def _newest_ns(constraint: LoopConstraint | PosePrior) -> int:
    if isinstance(constraint, PosePrior):
        return constraint.stamp_ns
    return max(constraint.from_ns, constraint.to_ns)


def corrected(odometry: OdometryPose, solved: OptimizedTrajectory | None) -> np.ndarray:
    """Return the pose [3] in the corrected frame of a pose of the odometry."""
    pose = odometry.planar
    return pose if solved is None else compose(solved.map_to_odometry(), pose)
