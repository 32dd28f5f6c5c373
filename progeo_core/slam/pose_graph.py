"""Pose graph of a session: odometry, loop closures and map poses in one least-squares problem.

GTSAM solves for poses on level ground. Odometry is trusted within its noise; closures and map poses
may be wrong, so graduated non-convexity with a truncated loss (Yang, Antonante, Tzoumas,
Carlone 2020, "Graduated Non-Convexity for Robust Spatial Perception") decides which are used.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.metadata
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from progeo_core.errors import MissingDependencyError
from progeo_core.geo import FloatArray
from progeo_core.poses.planar_pose import between, compose
from progeo_core.settings import Settings, setting
from progeo_core.slam.odometry_track import IntArray, OdometryAt, OdometryTrack
from progeo_core.slam.pair_consistency import Ends, consistent_pairs

# Noise of a step besides what grows with its length: stamps, and wheels that slip (m, rad).
_STEP_FLOOR_M, _STEP_FLOOR_RAD = 0.01, 0.003
# Between two segments of the odometry the robot may have moved anywhere (m, rad).
_GAP_M, _GAP_RAD = 1e3, math.pi
# Prior of the first pose: nearly none where map poses give it, else it is fixed.
_LOOSE = np.array([1e3, 1e3, math.pi])
_FIXED = np.array([1e-3, 1e-3, 1e-3])
# A closure or map pose is wrong where only one correct one in a thousand would be so far off.
_INLIER_PROBABILITY = 0.999
# A closure needs this many others that agree with it within this path length (m) of both its ends:
# odometry that drifts far cannot refute a single wrong one.
_SUPPORT, _NEAR_M = 2, 20.0


@dataclasses.dataclass(frozen=True)
class PoseGraphSettings(Settings):
    """Noise of the odometry, and spacing of the poses that are solved for."""

    node_distance_m: float = setting(
        1.0, "Path length (m) between the poses that are solved for", low=0.05, high=100.0
    )
    odometry_sigma: float = setting(
        0.05,
        "Error of the odometry's position per step, as a share of its length",
        low=1e-4,
        high=1.0,
    )
    odometry_yaw_sigma_rad: float = setting(
        0.02, "Error of the odometry's yaw (rad) per metre", low=1e-5, high=1.0
    )
    odometry_error: float = setting(
        0.3,
        "Largest error of the odometry as a share of the path length; closures that demand more are"
        " wrong",
        low=0.0,
        high=10.0,
    )


class LoopConstraint(NamedTuple):
    """Pose [3] of the robot at one stamp, relative to its pose at another stamp."""

    from_ns: int
    to_ns: int
    relative: FloatArray
    covariance: FloatArray


class PosePrior(NamedTuple):
    """Pose [3] of the robot in the map at one stamp; covariance: [3, 3]."""

    stamp_ns: int
    pose: FloatArray
    covariance: FloatArray


class OptimizedTrajectory(NamedTuple):
    """Corrected trajectory of a session.

    stamp_ns: [n]. pose: [n, 3] in the map; without map poses, that starts where the odometry does,
    whatever its first pose is.
    odometry: [n, 3] the same poses as odometry gave them. loops_used, priors_used: which of them
    were used.
    """

    stamp_ns: NDArray[np.int64]
    pose: FloatArray
    odometry: FloatArray
    loops_used: NDArray[np.bool_]
    priors_used: NDArray[np.bool_]

    def map_to_odometry(self) -> FloatArray:
        """Return the pose [3] of the newest odometry segment's frame in the map."""
        return compose(self.pose[-1], between(self.odometry[-1], np.zeros(3)))


class PoseGraph:
    """Pose graph of one session; `add_*` are cheap, `optimize` takes its time."""

    def __init__(self, settings: PoseGraphSettings | None = None) -> None:
        """Raise `MissingDependencyError` without GTSAM."""
        self.settings = settings or PoseGraphSettings()
        self._gtsam = _import_gtsam()
        self._odometry = OdometryTrack()
        self._loops: list[LoopConstraint] = []
        self._priors: list[PosePrior] = []

    @property
    def newest_ns(self) -> int:
        """Return the stamp of the newest odometry, 0 without any."""
        return self._odometry.newest_ns

    def add_odometry(self, stamp_ns: int, pose: FloatArray, segment: int = 0) -> bool:
        """Add a pose [3] of the odometry; return whether it is newer than the others.

        segment: a new number wherever the odometry restarted.
        """
        return self._odometry.add(stamp_ns, pose, segment)

    def add_loop(self, loop: LoopConstraint) -> bool:
        """Add a closure; return whether odometry covers both ends and does not rule it out."""
        if not all(self._odometry.covers(stamp) for stamp in (loop.from_ns, loop.to_ns)):
            return False
        if not self._is_possible(loop):
            return False
        self._loops.append(loop)
        return True

    def add_prior(self, prior: PosePrior) -> bool:
        """Add a pose in the map; return whether odometry covers its time."""
        if not self._odometry.covers(prior.stamp_ns):
            return False
        self._priors.append(prior)
        return True

    def optimize(self) -> OptimizedTrajectory | None:
        """Return the most probable trajectory, None while there are fewer than two poses."""
        if len(self._odometry) < 2:
            return None
        supported = self._supported()
        loops = [loop for loop, kept in zip(self._loops, supported, strict=True) if kept]
        stamps = self._node_stamps(loops)
        odometry = self._odometry.at(stamps)
        start = self._start(stamps, odometry)
        graph, inliers = self._trusted(odometry, start)
        rows = {int(stamp): row for row, stamp in enumerate(stamps)}
        for loop in loops:
            noise = self._noise(loop.covariance)
            ends = rows[loop.from_ns], rows[loop.to_ns]
            graph.add(self._gtsam.BetweenFactorPose2(*ends, self._pose(loop.relative), noise))
        for prior in self._priors:
            noise = self._noise(prior.covariance)
            row = rows[prior.stamp_ns]
            graph.add(self._gtsam.PriorFactorPose2(row, self._pose(prior.pose), noise))
        pose, weights = self._solve(graph, start, inliers)
        used = weights[len(inliers) :] > 0.5
        supported[supported] = used[: len(loops)]
        return OptimizedTrajectory(stamps, pose, odometry.pose, supported, used[len(loops) :])

    def path(self, solved: OptimizedTrajectory | None) -> tuple[IntArray, FloatArray]:
        """Return stamps [n] and corrected poses [n, 3] of the session until now."""
        stamps = self._odometry.milestones(self.settings.node_distance_m)
        if solved is None:
            return stamps, self._odometry.at(stamps).pose
        newer = stamps[stamps > solved.stamp_ns[-1]]
        if not len(newer):
            return solved.stamp_ns, solved.pose
        rest = compose(solved.map_to_odometry(), self._odometry.at(newer).pose)
        return np.concatenate([solved.stamp_ns, newer]), np.concatenate([solved.pose, rest])

    def copy(self) -> PoseGraph:
        """Return a graph of the same content, to be optimized while this one grows."""
        twin = PoseGraph(self.settings)
        twin._odometry, twin._loops = self._odometry.copy(), self._loops.copy()
        twin._priors = self._priors.copy()
        return twin

    def _is_possible(self, loop: LoopConstraint) -> bool:
        ends = self._odometry.at(np.array([loop.from_ns, loop.to_ns]))
        if ends.segment[0] != ends.segment[1]:
            return True
        apart = math.dist(between(ends.pose[0], ends.pose[1])[:2], loop.relative[:2])
        path_length_m = abs(float(ends.path_length_m[1] - ends.path_length_m[0]))
        return apart <= self.settings.odometry_error * path_length_m + 3.0 * _sigma_m(loop)

    def _supported(self) -> NDArray[np.bool_]:
        """Return which closures [n] have others near them that agree with them."""
        if not self._loops:
            return np.zeros(0, bool)
        query = self._odometry.at(np.array([loop.to_ns for loop in self._loops]))
        match = self._odometry.at(np.array([loop.from_ns for loop in self._loops]))
        number = np.arange(len(self._loops))
        # Where the closures say that the queries were, in the odometry of their matches.
        seen = compose(match.pose, np.array([loop.relative for loop in self._loops]))
        agree = consistent_pairs(
            Ends(number, query.pose, query.segment),
            Ends(number, seen, match.segment),
            3.0 * max(_sigma_m(loop) for loop in self._loops),
        )
        near = (_apart(query.path_length_m) <= _NEAR_M) & (_apart(match.path_length_m) <= _NEAR_M)
        supported: NDArray[np.bool_] = np.count_nonzero(agree & near, axis=1) >= _SUPPORT
        return supported

    def _node_stamps(self, loops: Sequence[LoopConstraint]) -> IntArray:
        """Return the stamps to solve for: every few metres, and at all closures and map poses."""
        seen = [stamp for loop in loops for stamp in (loop.from_ns, loop.to_ns)]
        seen += [prior.stamp_ns for prior in self._priors]
        milestones = self._odometry.milestones(self.settings.node_distance_m)
        return np.unique(np.concatenate([milestones, np.array(seen, np.int64)]))

    def _start(self, stamps: IntArray, odometry: OdometryAt) -> FloatArray:
        """Return initial poses [n, 3]: odometry, moved to where map poses agree best."""
        start = odometry.pose.copy()
        for row in np.flatnonzero(np.diff(odometry.segment)) + 1:
            # A new segment continues where the last one ended.
            shift = compose(start[row - 1], between(odometry.pose[row], np.zeros(3)))
            start[row:] = compose(shift, odometry.pose[row:])
        if not self._priors:
            return start
        rows = np.searchsorted(stamps, [prior.stamp_ns for prior in self._priors])
        seen = np.array([prior.pose for prior in self._priors])
        frames = compose(seen, between(start[rows], np.zeros(3)))
        apart = np.linalg.norm(frames[:, None, :2] - frames[None, :, :2], axis=-1)
        return compose(frames[int(np.argmin(np.median(apart, axis=1)))], start)

    def _trusted(self, odometry: OdometryAt, start: FloatArray) -> tuple[Any, list[int]]:
        """Return a graph of odometry and first pose, and the numbers of these factors."""
        gtsam = self._gtsam
        graph = gtsam.NonlinearFactorGraph()
        known = _LOOSE if self._priors else _FIXED
        first = gtsam.noiseModel.Diagonal.Sigmas(known)
        graph.add(gtsam.PriorFactorPose2(0, self._pose(start[0]), first))
        for row in range(1, len(start)):
            step = between(odometry.pose[row - 1], odometry.pose[row])
            if odometry.segment[row] != odometry.segment[row - 1]:
                step, sigmas = np.zeros(3), np.array([_GAP_M, _GAP_M, _GAP_RAD])
            else:
                sigmas = self._step_sigmas(step)
            noise = gtsam.noiseModel.Diagonal.Sigmas(sigmas)
            graph.add(gtsam.BetweenFactorPose2(row - 1, row, self._pose(step), noise))
        return graph, list(range(graph.size()))

    def _step_sigmas(self, step: FloatArray) -> FloatArray:
        length = math.hypot(step[0], step[1])
        # A turn is as hard to measure as the path that it takes, about a metre per radian.
        effort = length + abs(step[2])
        along = _STEP_FLOOR_M + self.settings.odometry_sigma * effort
        yaw = _STEP_FLOOR_RAD + self.settings.odometry_yaw_sigma_rad * effort
        return np.array([along, along, yaw])

    def _solve(
        self, graph: Any, start: FloatArray, inliers: list[int]
    ) -> tuple[FloatArray, FloatArray]:
        """Return poses [n, 3] and the weight of every factor."""
        gtsam = self._gtsam
        values = gtsam.Values()
        for row, pose in enumerate(start):
            values.insert(row, self._pose(pose))
        if graph.size() == len(inliers):
            return start, np.ones(len(inliers))
        parameters = gtsam.GncLMParams()
        parameters.setLossType(gtsam.GncLossType.TLS)
        parameters.setKnownInliers(inliers)
        optimizer = gtsam.GncLMOptimizer(graph, values, parameters)
        optimizer.setInlierCostThresholdsAtProbability(_INLIER_PROBABILITY)
        result = optimizer.optimize()
        solved = [result.atPose2(row) for row in range(len(start))]
        poses = np.array([[pose.x(), pose.y(), pose.theta()] for pose in solved])
        return poses, np.asarray(optimizer.getWeights())

    def _pose(self, pose: FloatArray) -> Any:
        return self._gtsam.Pose2(*(float(value) for value in pose))

    def _noise(self, covariance: FloatArray) -> Any:
        return self._gtsam.noiseModel.Gaussian.Covariance(np.asarray(covariance, np.float64))


def _sigma_m(loop: LoopConstraint) -> float:
    return math.sqrt(float(np.trace(loop.covariance[:2, :2])))


def _apart(path_length_m: FloatArray) -> FloatArray:
    apart: FloatArray = np.abs(path_length_m[:, None] - path_length_m)
    return apart


def _import_gtsam() -> Any:
    try:
        import gtsam
    except ImportError as error:
        raise MissingDependencyError(
            "the pose graph needs GTSAM: python3 -m pip install 'progeo_ros[slam]'"
        ) from error
    if _is_built_for_numpy_1() and np.lib.NumpyVersion(np.__version__) >= "2.0.0":
        raise MissingDependencyError(
            f"GTSAM 4.2 crashes with NumPy {np.__version__}: python3 -m pip install 'numpy<2'"
        )
    return gtsam


def _is_built_for_numpy_1() -> bool:
    """Whether GTSAM is the release that pip takes for Python 3.10; without metadata it is not."""
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        return importlib.metadata.version("gtsam") == "4.2"
    return False
