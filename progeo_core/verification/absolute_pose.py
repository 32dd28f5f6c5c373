"""Pose of a camera from points of its image and their landmarks, with its covariance.

LO-RANSAC over three-point poses (PoseLib, Larsson 2020), refined over all inliers. The covariance
is the inverse of the Gauss-Newton approximation of the Hessian, as in bundle adjustment (Triggs et
al. 2000), scaled so that stated ellipsoids hold.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import poselib
from numpy.typing import NDArray

from progeo_core.geo import FloatArray
from progeo_core.poses.camera_pose import CameraPose, quaternion_of

# Fewer pairs than this do not make a pose worth its name.
MIN_INLIERS = 12
# Distance (pixels of a camera of FOCAL_PX) within which a pair fits a first pose and a final one.
FIRST_ERROR_PX, FINAL_ERROR_PX = 6.0, 3.0
# Rays are given to the solver as pixels of a camera without distortion and of this focal length.
FOCAL_PX = 500.0
_MIN_ITERATIONS, _MAX_ITERATIONS = 50, 1000
# A pose to begin with, where most pairs fit it, leaves little to find: a third of the time.
_FROM_EXPECTED = {"min_iterations": 10, "dyn_num_trials_mult": 1.0}
# Pairs beyond this (pixels) count less and less in the refinement.
_CAUCHY_SCALE_PX = 1.0
MIN_SIGMA_PX = 0.5
# Neighbouring landmarks share the errors of their depth and of their place's pose: factor of the
# standard deviations at which ellipsoids of 90 % held on visits of an office.
INFLATION = 4.5


class FittedPose(NamedTuple):
    """Pose of a camera. inliers: [n] whether each pair fits."""

    pose: CameraPose
    inliers: NDArray[np.bool_]


class AbsolutePose(NamedTuple):
    """Pose of a camera, and how well it is known.

    covariance: [6, 6] of x, y, z (m²) and of turns about the axes of the map (rad²). inliers: [n]
    whether each pair fits.
    """

    pose: CameraPose
    covariance: FloatArray
    inliers: NDArray[np.bool_]


def absolute_pose(
    rays: FloatArray,
    landmarks: FloatArray,
    max_error_px: float,
    expected: CameraPose | None = None,
) -> AbsolutePose | None:
    """Return the pose of `fitted_pose` and its covariance, None where the pairs leave it open."""
    found = fitted_pose(rays, landmarks, max_error_px, expected)
    if found is None:
        return None
    pose, inliers = found
    covariance = _covariance(rays[inliers], landmarks[inliers] - pose.position, pose.rotation.T)
    if covariance is None:
        return None
    return AbsolutePose(pose, covariance * INFLATION**2, inliers)


def fitted_pose(
    rays: FloatArray,
    landmarks: FloatArray,
    max_error_px: float,
    expected: CameraPose | None = None,
) -> FittedPose | None:
    """Return the pose that explains most pairs, None where fewer than `MIN_INLIERS` fit.

    rays: [n, 2] where the camera's ray of each point meets its plane z = 1. landmarks: [n, 3] (m)
    of the map frame. max_error_px: as a camera with a focal length of 500 pixels sees it. expected:
    a pose to begin with, which a better one replaces; None unknown.
    """
    if len(rays) < MIN_INLIERS:
        return None
    camera = {
        "model": "SIMPLE_PINHOLE",
        "width": 0,
        "height": 0,
        "params": [FOCAL_PX, 0.0, 0.0],
    }
    options: dict[str, float] = {
        "max_reproj_error": max_error_px,
        "min_iterations": _MIN_ITERATIONS,
        "max_iterations": _MAX_ITERATIONS,
    }
    # Large coordinates cost the solver digits.
    center = landmarks.mean(axis=0)
    start = None
    if expected is not None:
        options |= _FROM_EXPECTED
        start = poselib.CameraPose()
        start.R = expected.rotation.T
        start.t = expected.to_camera(center)[0]
    found, info = poselib.estimate_absolute_pose(
        np.asarray(rays * FOCAL_PX, np.float64),
        np.asarray(landmarks - center, np.float64),
        camera,
        options,
        {"loss_type": "CAUCHY", "loss_scale": _CAUCHY_SCALE_PX},
        start,
    )
    inliers = np.array(info["inliers"], np.bool_)
    if np.count_nonzero(inliers) < MIN_INLIERS:
        return None
    rotation = np.asarray(found.R, np.float64)
    position = center - rotation.T @ np.asarray(found.t, np.float64)
    return FittedPose(CameraPose(position, quaternion_of(rotation.T)), inliers)


def _covariance(rays: FloatArray, offsets: FloatArray, rotation: FloatArray) -> FloatArray | None:
    """Return the covariance [6, 6] of a pose, None where the pairs leave it undetermined.

    offsets: [n, 3] landmarks less the camera's position, in the map frame.
    """
    seen = offsets @ rotation.T
    x, y, z = seen.T
    zero = np.zeros_like(z)
    projection = np.stack(
        [np.stack([1.0 / z, zero, -x / z**2], 1), np.stack([zero, 1.0 / z, -y / z**2], 1)], 1
    )
    # A turn w of the camera about the map's axes moves a point by R (offset × w).
    cross = np.zeros((len(offsets), 3, 3))
    cross[:, 0, 1], cross[:, 0, 2] = -offsets[:, 2], offsets[:, 1]
    cross[:, 1, 0], cross[:, 1, 2] = offsets[:, 2], -offsets[:, 0]
    cross[:, 2, 0], cross[:, 2, 1] = -offsets[:, 1], offsets[:, 0]
    jacobian = np.concatenate([projection @ -rotation, projection @ (rotation @ cross)], axis=2)
    jacobian = jacobian.reshape(-1, 6) * FOCAL_PX
    residual = (np.stack([x / z, y / z], 1) - rays).reshape(-1) * FOCAL_PX
    sigma_px = max(1.4826 * float(np.median(np.abs(residual))), MIN_SIGMA_PX)
    # As Cauchy's loss weighs them.
    weight = np.repeat(
        1.0 / (1.0 + (residual.reshape(-1, 2) ** 2).sum(axis=1) / _CAUCHY_SCALE_PX**2), 2
    )
    information = (jacobian * weight[:, None]).T @ jacobian / sigma_px**2
    scale = np.sqrt(np.diag(information))
    if not (np.isfinite(scale).all() and (scale > 0.0).all()):
        return None
    normalized = information / np.outer(scale, scale)
    if np.linalg.cond(normalized) > 1e10:
        return None
    covariance: FloatArray = np.linalg.inv(normalized) / np.outer(scale, scale)
    return covariance
