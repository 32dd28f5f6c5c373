"""Where a camera is mounted on its robot: from the pose of one of them to that of the other."""

from __future__ import annotations

import numpy as np

from progeo_core.errors import UsageError
from progeo_core.geo import FloatArray
from progeo_core.poses.camera_pose import CameraPose
from progeo_core.poses.pose_estimate import PoseEstimate
from progeo_core.poses.transform import Transform

# No robot is larger (m), and no written unit quaternion is as far from unit length.
_MAX_OFFSET_M, _QUATERNION_TOLERANCE = 100.0, 0.01
# Characters of a wrong text that its error shows.
_SHOWN = 120


class Extrinsics(Transform):
    """Pose of a camera's optical axes (x right, y down, z forward) in the frame of its robot."""

    @classmethod
    def from_text(cls, text: str) -> Extrinsics:
        """Read "x y z qx qy qz qw", as tf2_echo shows it; raise `UsageError` for anything else."""
        try:
            numbers = np.array([float(word) for word in text.split()])
        except ValueError:
            numbers = np.empty(0)
        given = repr(text[:_SHOWN])
        if len(numbers) != 7 or not np.isfinite(numbers).all():
            raise UsageError(
                f"{given} is not the pose of a camera: give seven numbers x y z qx qy qz qw, such"
                " as '0.2 0 0.5 -0.5 0.5 -0.5 0.5' for a camera that looks ahead"
            )
        if np.abs(numbers[:3]).max() > _MAX_OFFSET_M:
            raise UsageError(f"{given}: no camera is {_MAX_OFFSET_M:g} m away from its robot")
        length = float(np.linalg.norm(numbers[3:]))
        if abs(length - 1.0) > _QUATERNION_TOLERANCE:
            raise UsageError(f"{given}: the quaternion qx qy qz qw has length {length:g}, not 1")
        return cls(numbers[:3], numbers[3:] / length)

    def camera_pose(self, position: FloatArray, orientation: FloatArray) -> CameraPose:
        """Return the pose of the camera of a robot at a position [3] with an orientation [4]."""
        return CameraPose(*Transform(position, orientation).then(self))

    def base_estimate(
        self, camera: CameraPose, covariance: FloatArray, confidence: float
    ) -> PoseEstimate:
        """Return where a robot is whose camera has a pose in the map.

        covariance: [6, 6] of the camera's x, y, z (m²) and turns about the axes of the map (rad²).
        A turn moves the base by its lever arm, the offset from camera to base in the map frame, so
        that the covariance is carried over by the adjoint of that offset (Barfoot 2017, ch. 7).
        """
        base = Transform(*camera).then(self.inverse())
        jacobian = np.eye(6)
        x, y, z = base.position - camera.position
        # A turn w moves the end of a lever l by w × l.
        jacobian[:3, 3:] = [[0.0, z, -y], [-z, 0.0, x], [y, -x, 0.0]]
        return PoseEstimate(
            position=base.position,
            yaw_rad=float(base.heading_rad),
            covariance=jacobian @ covariance @ jacobian.T,
            confidence=confidence,
            orientation=base.orientation,
        )
