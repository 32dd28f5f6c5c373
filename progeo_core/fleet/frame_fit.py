"""Transform between the frames of two drives, fitted to places that both passed."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from progeo_core.geo import FloatArray, wrap_angle
from progeo_core.poses.camera_pose import rotation_of
from progeo_core.poses.planar_pose import compose
from progeo_core.poses.transform import Transform, level_quaternion

# Rounds of reweighting; most fits are still after four.
_ROUNDS = 10
# Stretches of a drive that are left out in turn: neighbouring places share their errors.
_STRETCHES = 8


class SharedPlaces(NamedTuple):
    """Places of one drive [n], in their order, and where these are in the frame of the other.

    moved, fixed: [n, 4] x, y, z (m) and yaw (rad). sigma_m, sigma_rad: [n] standard deviations of
    position and yaw.
    """

    moved: FloatArray
    fixed: FloatArray
    sigma_m: FloatArray
    sigma_rad: FloatArray

    def swapped(self) -> SharedPlaces:
        """Return the same places with the other drive as the moved one."""
        return self._replace(moved=self.fixed, fixed=self.moved)

    def select(self, rows: NDArray[np.int64]) -> SharedPlaces:
        """Return some of the places."""
        return SharedPlaces(*(column[rows] for column in self))


class FrameTransform(NamedTuple):
    """Pose of the moved drive's frame in the fixed one's: [4] x, y, z (m), yaw (rad).

    covariance: [4, 4] in the same order.
    """

    pose: FloatArray
    covariance: FloatArray

    @property
    def planar(self) -> FloatArray:
        """Return x, y (m) and yaw (rad) [3]."""
        return self.pose[[0, 1, 3]]

    def position_sigma_m(self, place: FloatArray) -> float:
        """Return the standard deviation (m) of where a place [4] of the moved frame comes to be."""
        x, y = (moved_by(self.pose, place[None])[0] - self.pose)[:2]
        turn = np.array([[1.0, 0.0, 0.0, -y], [0.0, 1.0, 0.0, x]])
        return float(np.sqrt(np.trace(turn @ self.covariance @ turn.T)))

    @property
    def transform(self) -> Transform:
        """Return the pose in six degrees of freedom: both frames are level."""
        return Transform(self.pose[:3], level_quaternion(float(self.pose[3])))


def moved_by(pose: FloatArray, places: FloatArray) -> FloatArray:
    """Return places [n, 4] of the moved frame in the fixed one."""
    x, y, yaw = compose(pose[[0, 1, 3]], places[:, [0, 1, 3]]).T
    return np.column_stack([x, y, places[:, 2] + pose[2], yaw])


def fit_frames(shared: SharedPlaces) -> FrameTransform:
    """Return the transform that most places agree with, and how well they determine it.

    Least squares over positions and yaws, reweighted by Cauchy's function. The covariance is that
    of the places as they are stated, and the spread of the fits without one stretch each
    (jackknife, Künsch 1989), as the errors of neighbours are alike.
    """
    pose = _reweighted(shared)
    covariance = np.asarray(np.linalg.inv(_information(shared, pose)), np.float64)
    stretches = np.array_split(np.arange(len(shared.moved)), min(_STRETCHES, len(shared.moved)))
    if len(stretches) > 1:
        others = (np.delete(np.arange(len(shared.moved)), one) for one in stretches)
        offset = np.array([_reweighted(shared.select(rows)) for rows in others]) - pose
        offset[:, 3] = wrap_angle(offset[:, 3])
        covariance = covariance + (len(stretches) - 1) / len(stretches) * offset.T @ offset
    return FrameTransform(pose, covariance)


def _reweighted(shared: SharedPlaces) -> FloatArray:
    weight = np.ones(len(shared.moved))
    for _ in range(_ROUNDS):
        pose = _weighted(shared, weight)
        offset = moved_by(pose, shared.moved) - shared.fixed
        squared = (offset[:, :2] ** 2).sum(axis=1) / shared.sigma_m**2
        squared += (wrap_angle(offset[:, 3]) / shared.sigma_rad) ** 2
        weight = 1.0 / (1.0 + squared / max(float(np.median(squared)), 1.0))
    return pose


def _weighted(shared: SharedPlaces, weight: FloatArray) -> FloatArray:
    """Return the transform [4] of least squares, in closed form (Umeyama 1991) with yaws."""
    moved, fixed, sigma_m, sigma_rad = shared
    of_position, of_yaw = weight / sigma_m**2, weight / sigma_rad**2
    share = of_position / of_position.sum()
    centers = share @ moved[:, :3], share @ fixed[:, :3]
    here, there = moved[:, :2] - centers[0][:2], fixed[:, :2] - centers[1][:2]
    along = of_position @ (here * there).sum(axis=1)
    across = of_position @ (here[:, 0] * there[:, 1] - here[:, 1] * there[:, 0])
    turns = of_yaw @ np.exp(1j * (fixed[:, 3] - moved[:, 3]))
    yaw = float(np.angle(along + 1j * across + turns))
    turned = rotation_of(level_quaternion(yaw)) @ centers[0]
    return np.array([*(centers[1] - turned), yaw])


def _information(shared: SharedPlaces, pose: FloatArray) -> FloatArray:
    """Return the information [4, 4] of places about x, y, z, yaw."""
    moved = moved_by(pose, shared.moved) - pose * [1.0, 1.0, 1.0, 0.0]
    jacobian = np.zeros((len(moved), 4, 4))
    jacobian[:, range(4), range(4)] = 1.0
    jacobian[:, 0, 3], jacobian[:, 1, 3] = -moved[:, 1], moved[:, 0]
    sigma = np.column_stack([shared.sigma_m] * 3 + [shared.sigma_rad])
    scaled = jacobian / sigma[:, :, None]
    information: FloatArray = np.einsum("nij,nik->jk", scaled, scaled)
    return information
