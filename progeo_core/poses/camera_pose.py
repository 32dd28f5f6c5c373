"""Full poses of a camera: position and orientation of its optical axes in the map frame.

Optical axes are x right, y down, z forward. Quaternions are x y z w, of any length but zero. SciPy
takes a quarter of a second to import, so functions do that: most programs need only the names.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from progeo_core.geo import FloatArray

# A camera that looks within a degree of straight up or down has no direction in the plane.
_MIN_HORIZONTAL = np.sin(np.radians(1.0))
_MIN_SQUARED = 1e-200


class CameraPose(NamedTuple):
    """Pose of a camera in the map frame.

    position: [3] metres. orientation: [4] quaternion that turns the optical axes into the map
    frame, NaN unknown.
    """

    position: FloatArray
    orientation: FloatArray

    @property
    def rotation(self) -> FloatArray:
        """Return the matrix [3, 3] whose columns are the optical axes in the map frame."""
        return rotation_of(self.orientation)

    @property
    def yaw_rad(self) -> float:
        """Return the direction of the optical axis in the plane (rad); see `yaw_of`."""
        return float(yaw_of(self.orientation))

    def to_camera(self, points: ArrayLike) -> FloatArray:
        """Return points [n, 3] (m) of the map frame in the camera's frame."""
        return (np.asarray(points, np.float64).reshape(-1, 3) - self.position) @ self.rotation

    def to_map(self, points: ArrayLike) -> FloatArray:
        """Return points [n, 3] (m) of the camera's frame in the map frame."""
        return np.asarray(points, np.float64).reshape(-1, 3) @ self.rotation.T + self.position


def rotation_of(quaternion: ArrayLike) -> FloatArray:
    """Return the matrices [..., 3, 3] of quaternions [..., 4].

    NaN where one is not finite, 0, or of a length below 1e-100 or above 1e100.
    """
    from scipy.spatial.transform import Rotation

    values = np.asarray(quaternion, np.float64)
    rows = values.reshape(-1, 4)
    matrices = np.full((len(rows), 3, 3), np.nan)
    with np.errstate(over="ignore", invalid="ignore"):
        squared = (rows**2).sum(axis=1)
    # Written so that NaN counts as unknown. Beyond, squares lose their digits.
    known = (squared > _MIN_SQUARED) & (squared < 1.0 / _MIN_SQUARED)
    if known.any():
        matrices[known] = Rotation.from_quat(rows[known]).as_matrix()
    return matrices.reshape(*values.shape[:-1], 3, 3)


def quaternion_of(rotation: ArrayLike) -> FloatArray:
    """Return the quaternions [..., 4] of rotation matrices [..., 3, 3]."""
    from scipy.spatial.transform import Rotation

    return np.asarray(Rotation.from_matrix(np.asarray(rotation)).as_quat(), np.float64)


def yaw_of(orientation: ArrayLike) -> FloatArray:
    """Return the direction of the optical axis in the plane (rad) [...] of quaternions [..., 4].

    Counter-clockwise from x; NaN for an unknown orientation, and within a degree of straight up or
    down.
    """
    axis = rotation_of(orientation)[..., :, 2]
    level = np.hypot(axis[..., 0], axis[..., 1]) > _MIN_HORIZONTAL
    return np.where(level, np.arctan2(axis[..., 1], axis[..., 0]), np.nan)


def turned(orientation: ArrayLike, angle_rad: ArrayLike) -> FloatArray:
    """Return quaternions [n, 4] turned by angles [n] about the vertical of the map frame."""
    from scipy.spatial.transform import Rotation

    given = np.asarray(orientation, np.float64).reshape(-1, 4)
    known = np.isfinite(given).all(axis=1)
    result = np.full(given.shape, np.nan)
    if known.any():
        about_z = Rotation.from_euler("z", np.asarray(angle_rad, np.float64)[known])
        result[known] = (about_z * Rotation.from_quat(given[known])).as_quat()
    return result


def interpolate(before: ArrayLike, after: ArrayLike, weight: ArrayLike) -> FloatArray:
    """Return quaternions [n, 4] between those before and after, at shares [n] of the way.

    Spherical and linear, along the shorter arc. NaN where either of them is.
    """
    from scipy.spatial.transform import Rotation

    first, last = (np.asarray(one, np.float64).reshape(-1, 4) for one in (before, after))
    share = np.asarray(weight, np.float64).reshape(-1, 1)
    between = np.full(first.shape, np.nan)
    known = np.isfinite(first).all(axis=1) & np.isfinite(last).all(axis=1)
    if known.any():
        start = Rotation.from_quat(first[known])
        turn = (start.inv() * Rotation.from_quat(last[known])).as_rotvec()
        between[known] = (start * Rotation.from_rotvec(share[known] * turn)).as_quat()
    return between
