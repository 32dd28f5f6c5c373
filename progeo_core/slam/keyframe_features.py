"""What a keyframe's image shows and where its camera was, as bytes for the file that keeps them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from progeo_core.geo import FloatArray
from progeo_core.map.place_features import (
    DESCRIPTOR_VALUES,
    descriptor_bytes,
    unit_descriptors,
)
from progeo_core.poses.camera_pose import rotation_of
from progeo_core.poses.extrinsics import Extrinsics
from progeo_core.poses.transform import Transform
from progeo_core.verification.known_view import KnownView

# Pose of the robot, that of the camera on it, and the size of a pixel.
_HEADER = 7 + 7 + 1
_UNKNOWN = np.full(7, np.nan)


class KeyframeFeatures(NamedTuple):
    """Local features of a calibrated camera: rays [n, 2] and descriptors [n, 64] of unit length.

    A ray is where it meets the camera's plane z = 1, NaN where there is none. pixel: what a pixel
    of the image is on that plane. robot: its pose in the frame of the odometry; extrinsics: where
    the camera is on it; None unknown.
    """

    rays: FloatArray
    descriptors: NDArray[np.float32]
    pixel: float
    robot: Transform | None = None
    extrinsics: Extrinsics | None = None

    @property
    def view(self) -> KnownView | None:
        """Return what triangulation needs, None where the pose of the camera is unknown."""
        if self.robot is None or self.extrinsics is None:
            return None
        pose = self.extrinsics.camera_pose(*self.robot)
        return KnownView(pose, rotation_of(pose.orientation), *self[:3])

    def to_bytes(self) -> bytes:
        """Return 72 bytes per feature, and 120 more."""
        poses = (_UNKNOWN if one is None else np.concatenate(one) for one in self[3:])
        header = np.concatenate([*poses, [self.pixel]])
        descriptors = descriptor_bytes(self.descriptors)
        return header.tobytes() + self.rays.astype(np.float32).tobytes() + descriptors.tobytes()

    @classmethod
    def from_bytes(cls, data: bytes) -> KeyframeFeatures:
        """Return what `to_bytes` was made of, to the precision of 8 bits."""
        header = np.frombuffer(data, np.float64, _HEADER)
        count = (len(data) - header.nbytes) // (8 + DESCRIPTOR_VALUES)
        rays = np.frombuffer(data, np.float32, 2 * count, header.nbytes).reshape(-1, 2)
        kept = np.frombuffer(data, np.int8, offset=header.nbytes + rays.nbytes)
        robot, extrinsics = header[:7], header[7:14]
        return cls(
            rays.astype(np.float64),
            unit_descriptors(kept.reshape(-1, DESCRIPTOR_VALUES)),
            float(header[14]),
            None if np.isnan(robot).any() else Transform(robot[:3], robot[3:]),
            None if np.isnan(extrinsics).any() else Extrinsics(extrinsics[:3], extrinsics[3:]),
        )
