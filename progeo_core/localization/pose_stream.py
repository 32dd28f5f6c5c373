"""Poses that a planner can follow: corrections are fed in over time, and jumps are announced.

Answers are right more often than they are smooth: from one place to the next, they correct
themselves by up to the spacing of the map. Here odometry carries the last pose on, a Kalman filter
weighs the answer against it, and what it corrects comes in at a bounded rate; meanwhile the
covariance covers what is still to come. An answer that the last pose and the motion cannot explain
is another matter: the robot was lost and is found, and its pose is the answer's at once.
"""

from __future__ import annotations

import collections
import itertools
import math
import threading
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from progeo_core.geo import FloatArray
from progeo_core.localization.answer import Localization
from progeo_core.localization.pose_correction import (
    Corrected,
    Expected,
    approach,
    contradiction,
    corrected,
    expected_anywhere,
    expected_by_odometry,
    first_belief,
)
from progeo_core.poses.planar_pose import between, compose
from progeo_core.poses.pose_buffer import BufferedPose, PoseBuffer
from progeo_core.poses.pose_estimate import PoseEstimate

# Answers that tell the speed of a robot without odometry.
_SPEED_ANSWERS = 8
# An answer this much older (s) than the last starts a new run; a little older is only late.
_RESTART_S = 1.0
# Answers this near to each other (m) may be of one image that came twice.
_SAME_PLACE_M = 0.1


class OdomInMap(NamedTuple):
    """Pose of the odometry's origin in the map: x, y (m), yaw (rad) [3], and a height (m)."""

    planar: FloatArray
    z_m: float = 0.0


class _Last(NamedTuple):
    """Pose that went out last, what the filter believes of it, and where odometry had the robot.

    camera: that took the image.
    """

    stamp_ns: int
    camera: str
    pose: Corrected
    robot: BufferedPose | None


class PoseStream:
    """Stream of one robot's poses without jumps, as answers and as the origin of its odometry."""

    def __init__(
        self,
        odometry: PoseBuffer,
        geodetic: Callable[[FloatArray], tuple[float, float, float] | None] = lambda _: None,
    ) -> None:
        """Read the robot's odometry from a buffer; geodetic: of positions in the map."""
        self._odometry, self._geodetic = odometry, geodetic
        self._lock = threading.Lock()
        self._origin: OdomInMap | None = None
        self._target: OdomInMap | None = None
        self._origin_ns = 0
        self._jumps = False
        self.reset()

    def reset(self) -> None:
        """Forget where the robot was: the next answer is taken as it is."""
        self._last: _Last | None = None
        self._recent: collections.deque[tuple[int, FloatArray]] = collections.deque(
            maxlen=_SPEED_ANSWERS
        )

    def follow(self, answer: Localization) -> Localization:
        """Return an answer with the pose that continues those before it, if it is accepted.

        `relocalized` says where it does not: at first, where the robot was found elsewhere, and of
        an image without a stamp, or of another place with that of the same camera's last.
        """
        if not answer.stamp_ns:
            return answer._replace(relocalized=answer.accepted)
        if not answer.accepted:
            return answer
        robot = self._odometry.at(answer.stamp_ns)
        last = self._last
        if (
            last is None
            or (last.stamp_ns - answer.stamp_ns) * 1e-9 > _RESTART_S
            or self._is_stamped_alike(answer, last)
        ):
            return self._start(answer, robot, "")
        is_late = answer.stamp_ns <= last.stamp_ns
        if not is_late:
            self._recent.append((answer.stamp_ns, answer.estimate.position))
        expected = self._expect(last, answer.stamp_ns, robot)
        apart_m = contradiction(expected, answer.estimate, last.pose.estimate.covariance[:3, :3])
        if apart_m is not None:
            why = f"; found again {apart_m:.1f} m from where it was followed to"
            return self._start(answer, robot, why)
        pose = corrected(expected, answer.estimate)
        if not is_late:
            self._last = _Last(answer.stamp_ns, answer.camera, pose, robot)
        geodetic = self._geodetic(pose.estimate.position)
        return answer._replace(estimate=pose.estimate, geodetic=geodetic, relocalized=False)

    def position_now(self) -> FloatArray | None:
        """Return where the robot is in the map by its last pose and the odometry since [3].

        None before any pose; without odometry, or its yaw, that of the last pose.
        """
        last, robot = self._last, self._odometry.newest
        if last is None:
            return None
        position = last.pose.estimate.position
        if robot is None or last.robot is None or robot.segment != last.robot.segment:
            return position
        step = between(last.robot.planar, robot.planar)
        planar = compose([*position[:2], last.pose.estimate.yaw_rad], step)
        return np.array([*planar[:2], position[2]]) if np.isfinite(planar).all() else position

    def aim(self, answer: Localization) -> None:
        """Lead the odometry's origin to an accepted answer, at once where it is a relocalization.

        Nothing changes without odometry at its time, or without its yaw; then the next answer that
        has them leads it, and at once where this one is a relocalization.
        """
        if not answer.accepted:
            return
        self._jumps = self._jumps or (answer.relocalized and answer.stamp_ns > 0)
        robot = self._odometry.at(answer.stamp_ns)
        if robot is None:
            return
        target = odom_in_map(answer.estimate, robot)
        if not np.isfinite([*target.planar, target.z_m]).all():
            return
        with self._lock:
            self._target = target
            if self._origin is None or self._jumps:
                self._origin = target
        self._jumps = False

    def origin_at(self, stamp_ns: int, robot: BufferedPose) -> OdomInMap | None:
        """Return the odometry's origin at a pose of the odometry, None before any answer.

        Call it with every pose, from one thread: what is left of the correction comes in by steps.
        """
        with self._lock:
            elapsed_s = (stamp_ns - self._origin_ns) * 1e-9
            self._origin_ns = stamp_ns
            if self._origin is None or self._target is None:
                return None
            # At the robot: far from the odometry's origin, a small turn there is a long way here.
            now, target = (_robot_in_map(one, robot) for one in (self._origin, self._target))
            self._origin = _origin_of(approach(now, target, elapsed_s), robot)
            return self._origin

    def _is_stamped_alike(self, answer: Localization, last: _Last) -> bool:
        """Whether an answer has the stamp of the same camera's last, and is of another place.

        Stamps are too coarse then, or the clock stands, so that nothing tells how long it took.
        """
        if (answer.stamp_ns, answer.camera) != (last.stamp_ns, last.camera):
            return False
        _, before = self._recent[-1]
        return float(np.linalg.norm(answer.estimate.position - before)) > _SAME_PLACE_M

    def _start(self, answer: Localization, robot: BufferedPose | None, why: str) -> Localization:
        """Take an answer as it is."""
        self.reset()
        self._recent.append((answer.stamp_ns, answer.estimate.position))
        pose = Corrected(answer.estimate, first_belief(answer.estimate))
        self._last = _Last(answer.stamp_ns, answer.camera, pose, robot)
        return answer._replace(relocalized=True, reason=answer.reason + why)

    def _expect(self, last: _Last, stamp_ns: int, robot: BufferedPose | None) -> Expected:
        """Return where the robot is by its motion since the last pose."""
        elapsed_s = max((stamp_ns - last.stamp_ns) * 1e-9, 0.0)
        estimate, before = last.pose.estimate, last.robot
        if robot is None or before is None or robot.segment != before.segment:
            return expected_anywhere(estimate.position, self._speed_mps(), elapsed_s)
        step = between(before.planar, robot.planar)
        planar = compose([*estimate.position[:2], estimate.yaw_rad], step)
        if not np.isfinite(planar).all():
            # Which way the robot went is not known, but how far.
            speed = math.hypot(step[0], step[1]) / max(elapsed_s, 1e-9)
            return expected_anywhere(estimate.position, speed, elapsed_s)
        height = estimate.position[2] + robot.position[2] - before.position[2]
        position = np.array([*planar[:2], height])
        return expected_by_odometry(position, float(planar[2]), last.pose.belief, step, elapsed_s)

    def _speed_mps(self) -> float:
        """Return how fast the latest answers went."""
        if len(self._recent) < 2:
            return 0.0
        elapsed_s = (self._recent[-1][0] - self._recent[0][0]) * 1e-9
        points = [position for _, position in self._recent]
        return sum(itertools.starmap(math.dist, itertools.pairwise(points))) / elapsed_s


def odom_in_map(estimate: PoseEstimate, robot: BufferedPose) -> OdomInMap:
    """Return the pose of odom's origin that makes the robot's poses in map and odom one."""
    return _origin_of(np.append(estimate.position, estimate.yaw_rad), robot)


def _origin_of(in_map: FloatArray, robot: BufferedPose) -> OdomInMap:
    """Return the pose of odom's origin where the robot is at x, y, z, yaw [4] in the map."""
    planar = compose(in_map[[0, 1, 3]], between(robot.planar, np.zeros(3)))
    return OdomInMap(planar, float(in_map[2] - robot.position[2]))


def _robot_in_map(origin: OdomInMap, robot: BufferedPose) -> FloatArray:
    """Return x, y, z, yaw [4] of the robot in the map by a pose of odom's origin."""
    x, y, yaw = compose(origin.planar, robot.planar)
    return np.array([x, y, origin.z_m + robot.position[2], yaw])
