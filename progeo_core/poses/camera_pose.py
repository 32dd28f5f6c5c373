"""Pose of a camera in six degrees of freedom."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial.transform import Rotation

from progeo_core.geo import FloatArray


class CameraPose(NamedTuple):
    """Pose of a camera in frame map.

    position: [3] m. orientation: quaternion x y z w [4] that turns the camera's optical axes (x
    right, y down, z forward) into the map frame.
    """

    position: FloatArray
    orientation: FloatArray

    @property
    def rotation(self) -> FloatArray:
        """Return the matrix [3, 3] that turns optical axes into the map frame."""
        return rotation_of(self.orientation)

    @property
    def yaw_rad(self) -> float:
        """Return the direction of the optical axis in the plane, counter-clockwise from east."""
        east, north, _ = self.rotation[:, 2]
        return float(np.arctan2(north, east))

    def to_camera(self, points: FloatArray) -> FloatArray:
        """Return points [n, 3] of the map (m) in the camera's frame."""
        return np.asarray((points - self.position) @ self.rotation)

    def to_map(self, points: FloatArray) -> FloatArray:
        """Return points [n, 3] of the camera's frame (m) in the map."""
        return np.asarray(points @ self.rotation.T + self.position)


def rotation_of(quaternion: ArrayLike) -> FloatArray:
    """Return the rotation matrices [..., 3, 3] of quaternions x y z w [..., 4]."""
    rows = np.asarray(quaternion, np.float64)
    matrices = Rotation.from_quat(rows.reshape(-1, 4)).as_matrix()
    return np.asarray(matrices.reshape(*rows.shape[:-1], 3, 3))


def quaternion_of(rotation: ArrayLike) -> FloatArray:
    """Return the quaternion x y z w [4] of a rotation matrix [3, 3]."""
    return np.asarray(Rotation.from_matrix(np.asarray(rotation, np.float64)).as_quat())
