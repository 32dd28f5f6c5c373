"""Poses of one frame in another, in six degrees of freedom, and frames that are fixed together."""

from __future__ import annotations

import math
import threading
from typing import NamedTuple

import numpy as np

from progeo_core.geo import FloatArray
from progeo_core.poses.camera_pose import quaternion_of, rotation_of

# No frame is farther from another (m), also where one is the centre of the earth.
_MAX_OFFSET_M = 1e8


class Transform(NamedTuple):
    """Pose of an inner frame in an outer one, or many of them.

    position: [..., 3] metres. orientation: [..., 4] quaternion x y z w, of any length but zero,
    that turns the axes of the inner frame into those of the outer one.
    """

    position: FloatArray
    orientation: FloatArray

    @property
    def is_usable(self) -> bool:
        """Whether the position is finite and on earth, and the quaternion is a rotation."""
        on_earth = (np.abs(self.position) <= _MAX_OFFSET_M).all()
        return bool(on_earth and np.isfinite(rotation_of(self.orientation)).all())

    @property
    def heading_rad(self) -> FloatArray:
        """Return the direction of the inner x axis in the outer plane (rad) [...]."""
        axis = rotation_of(self.orientation)[..., :, 0]
        return np.arctan2(axis[..., 1], axis[..., 0])

    def then(self, inner: Transform) -> Transform:
        """Return the pose in the outer frame of what has the pose `inner` in the inner frame."""
        rotation = rotation_of(self.orientation)
        turned = (rotation @ inner.position[..., None])[..., 0]
        return Transform(
            turned + self.position, quaternion_of(rotation @ rotation_of(inner.orientation))
        )

    def inverse(self) -> Transform:
        """Return the pose of the outer frame in the inner one."""
        rotation = np.swapaxes(rotation_of(self.orientation), -1, -2)
        turned = (rotation @ self.position[..., None])[..., 0]
        return Transform(-turned, quaternion_of(rotation))


def level_quaternion(yaw_rad: float) -> FloatArray:
    """Return the quaternion x y z w [4] of a turn about the vertical; none where yaw is NaN."""
    half = 0.0 if math.isnan(yaw_rad) else yaw_rad / 2.0
    return np.array([0.0, 0.0, math.sin(half), math.cos(half)])


IDENTITY = Transform(np.zeros(3), np.array([0.0, 0.0, 0.0, 1.0]))


class Chain(NamedTuple):
    """Frames below the common ancestor of two frames, from each of them upwards.

    Each part has the frames' newest poses in their parents.
    """

    up: dict[str, Transform]
    down: dict[str, Transform]


class FrameTree:
    """Frames that are fixed to each other, as tf has them; every method may be in any thread."""

    def __init__(self) -> None:
        """Start without frames."""
        self._lock = threading.Lock()
        # By frame: its parent, and its pose in it.
        self._parents: dict[str, tuple[str, Transform]] = {}

    def add(self, parent: str, child: str, pose: Transform) -> bool:
        """Add or replace the pose of a frame in its parent; return whether it could be used."""
        if not (parent and child) or parent == child or not pose.is_usable:
            return False
        with self._lock:
            self._parents[child] = (parent, pose)
        return True

    def pose(self, frame: str, inside: str) -> Transform | None:
        """Return the pose of one frame in another, None where nothing connects them."""
        with self._lock:
            above, others = self._ancestors(frame), self._ancestors(inside)
        common = next((name for name in above if name in others), None)
        return None if common is None else others[common].inverse().then(above[common])

    def chain(self, frame: str, inside: str) -> Chain | None:
        """Return what connects two frames, None where nothing does."""
        with self._lock:
            above, others = list(self._ancestors(frame)), list(self._ancestors(inside))
            common = next((name for name in above if name in others), None)
            if common is None:
                return None
            up, down = above[: above.index(common)], others[: others.index(common)]
            return Chain(*({one: self._parents[one][1] for one in part} for part in (up, down)))

    def names(self) -> list[str]:
        """Return every frame, written with its parent: "map → odom"."""
        with self._lock:
            return [f"{parent} → {child}" for child, (parent, _) in self._parents.items()]

    def _ancestors(self, frame: str) -> dict[str, Transform]:
        """Return a frame and those above it, with the pose of the frame in each."""
        found, name, pose = {frame: IDENTITY}, frame, IDENTITY
        while name in self._parents:
            name, step = self._parents[name]
            if name in found:  # frames in a circle
                break
            pose = step.then(pose)
            found[name] = pose
        return found
