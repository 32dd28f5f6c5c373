"""Views of cameras that all see the points of one scene, for tests of landmarks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from progeo_core.geo import FloatArray
from progeo_core.poses.camera_pose import CameraPose, quaternion_of
from progeo_core.verification.known_view import KnownView

# What a pixel is on the plane z = 1.
PIXEL = 1.0 / 500.0


class Scene(NamedTuple):
    """Points [n, 3] (m) in front of the origin, with a descriptor [n, 64] each."""

    points: FloatArray
    descriptors: NDArray[np.float32]


def make_scene(count: int = 200) -> Scene:
    """Return random points."""
    random = np.random.default_rng(4)
    points = random.uniform([-3.0, -2.0, 4.0], [3.0, 2.0, 12.0], (count, 3))
    descriptors = random.normal(size=(count, 64)).astype(np.float32)
    return Scene(points, descriptors / np.linalg.norm(descriptors, axis=1, keepdims=True))


def camera(
    scene: Scene,
    position: Sequence[float],
    turn_deg: float = 0.0,
    noise_px: float = 0.0,
    seed: int = 0,
) -> KnownView:
    """Return the view of a camera that sees every point of a scene."""
    axes = Rotation.from_euler("y", turn_deg, degrees=True).as_matrix()
    pose = CameraPose(np.array(position, np.float64), quaternion_of(axes))
    inside = pose.to_camera(scene.points)
    noise = np.random.default_rng(seed).normal(scale=noise_px * PIXEL, size=(len(inside), 2))
    rays = inside[:, :2] / inside[:, 2:] + noise
    return KnownView(pose, pose.rotation, rays, scene.descriptors, PIXEL)


def moved(view: KnownView, position: Sequence[float]) -> KnownView:
    """Return a view that claims another position."""
    return view._replace(pose=CameraPose(np.array(position, np.float64), view.pose.orientation))
