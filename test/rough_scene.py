"""A made scene: cameras on an arc that look at the same points, and what is known of them."""

import numpy as np
from numpy.typing import NDArray

from progeo_core.poses.camera_pose import CameraPose, quaternion_of
from progeo_core.verification.view_pairs import RoughView

PIXEL = 1.0 / 500.0
VIEWS, POINTS = 18, 150


def cameras() -> list[CameraPose]:
    """Return level cameras on an arc, which look towards the points."""
    poses = []
    for angle in np.linspace(0.0, 2.2, VIEWS):
        out = np.array([np.cos(angle), np.sin(angle), 0.0])
        right, down = np.array([-out[1], out[0], 0.0]), np.array([0.0, 0.0, -1.0])
        # The optical axis points inward: x right, y down, z forward.
        axes = np.column_stack([right, down, np.cross(right, down)])
        poses.append(CameraPose(4.0 * out, quaternion_of(axes)))
    return poses


def rough_views(sigma_m: float, seed: int = 0) -> list[RoughView]:
    """Return the views of `cameras`; positions err by a deviation, and rays by half a pixel."""
    random = np.random.default_rng(seed)
    points = random.uniform([-1.0, -1.0, -0.7], [1.0, 1.0, 0.7], (POINTS, 3))
    points *= 1.5
    descriptors = _unit(random.normal(size=(POINTS, 64)))
    views = []
    for pose in cameras():
        seen = pose.to_camera(points)
        rays = seen[:, :2] / seen[:, 2:] + random.normal(0.0, 0.5 * PIXEL, (POINTS, 2))
        own = _unit(descriptors + random.normal(0.0, 0.02, descriptors.shape))
        order = random.permutation(POINTS)
        position = pose.position + random.normal(0.0, sigma_m, 3)
        views.append(RoughView(position, rays[order], own[order], PIXEL))
    return views


def degrees_apart(first: CameraPose, second: CameraPose) -> float:
    """Return the turn between two cameras."""
    cosine = (np.trace(first.rotation.T @ second.rotation) - 1.0) / 2.0
    return float(np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0))))


def _unit(rows: NDArray[np.float64]) -> NDArray[np.float32]:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
