"""Whether landmarks fit the camera that is said to have seen them, or another one better.

A pose is refined together with the focal length and one radial term of the lens, robustly over all
matches (Triggs et al. 2000, Bundle Adjustment – A Modern Synthesis). What a wrong calibration does
to a pose, its covariance does not show: the landmarks that fit are few, and agree.
"""

from __future__ import annotations

import collections
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from scipy.spatial.transform import Rotation

from progeo_core.geo import FloatArray
from progeo_core.images.intrinsics import Intrinsics
from progeo_core.poses.camera_pose import CameraPose, quaternion_of
from progeo_core.verification.absolute_pose import (
    FINAL_ERROR_PX,
    FOCAL_PX,
    INFLATION,
    MIN_SIGMA_PX,
)
from progeo_core.verification.landmark_spread import Correspondences, whitened

# Scales (pixels) of Cauchy's loss, one iteration each: from every start, and from the best one.
_FIRST_PX, _LAST_PX = (8.0, 8.0, 4.0, 4.0), (4.0, 2.0, 2.0, 1.0, 1.0)
# Focal lengths to begin with, as multiples of the stated one: a fit finds the nearest minimum.
_ZOOMS = (0.62, 0.77, 0.88, 1.0, 1.13, 1.3, 1.6)
# Standard deviations of the focal length's error and of the radial term: what landmarks make of
# them in each image beyond their own noise, and what a calibration of the map's camera may err by.
_IMAGE_ERRORS, _KNOWN_ERRORS = (0.02, 0.05), (0.04, 0.04)
# An error of so much that is so improbable (99.7 % of chi-square in two dimensions) is one.
_MIN_ZOOM, _MIN_RADIAL, _MAX_SQUARED = 0.05, 0.08, 11.8
# Where two standard deviations leave no errors of the focal length and of the radial term beyond
# these, the map's own calibration is confirmed; both grow as the deviations of lenses do where
# points are triangulated.
_CONFIRMED = (0.08, 0.20)
# Where they leave no error of the focal length beyond this, another calibration is right but for
# what stays open.
_OTHER_OPEN = 0.20
# Images that are remembered, each from a point this far (m) from the one before.
_IMAGES, _APART_M = 12, 0.25
# Calibrations with a history, as of the cameras of a rig.
_CAMERAS = 8
# From so far off on, it is the focal length that is named.
_FOCAL_RATIO = 0.03
_MIN_DEPTH_M, _FAR_PX, _DAMPING = 0.05, 1e6, 1e-9
# Least scale of a focal length.
_MIN_SCALE = 0.2
# Before a plane a step may go anywhere: at most this far for the focal length and the radial term.
_MAX_STEP = 1.0
# Steps in which rays are freed from a lens.
_UNBENDINGS = 3


class Lens(NamedTuple):
    """Camera that fits landmarks, against the one that was stated.

    scale: of the focal length, 1 as stated. radial: distortion that the calibration lacks, as a
    share at a ray's distance of 1 from the axis on the plane z = 1. covariance: [2, 2] of both.
    pose: that of this camera.
    """

    scale: float
    radial: float
    covariance: FloatArray
    pose: CameraPose

    def unbent(self, rays: FloatArray) -> FloatArray:
        """Return the rays [n, 2] of this camera for those of the stated one."""
        found = rays
        for _ in range(_UNBENDINGS):
            squared = (found**2).sum(axis=1, keepdims=True)
            found = rays / (self.scale + self.radial * np.minimum(squared, 1.0))
        return found


class Verdict(NamedTuple):
    """What images say of a calibration.

    fault: why it cannot be relied on, "" where nothing speaks against it. open: mean squares [2, 2]
    of the errors of the focal length (share) and of the radial term as images leave them open, None
    where the map's own is confirmed. unconfirmed: whether another one is only not yet known.
    """

    fault: str = ""
    open: FloatArray | None = None
    unconfirmed: bool = False


class LensHistory:
    """Lenses that fitted each camera's images last, each from another point than the one before.

    One image may say little of a lens: few landmarks, or all in one plane, leave the focal length
    open. So each counts by its information. What images leave open of a calibration such as the
    map's widens the covariance of poses until they confirm it; another one has to be confirmed
    first. Cameras of a rig take turns: each calibration has a history of its own, of the cameras
    that were used last.
    """

    def __init__(self, error_factor: float = 1.0) -> None:
        """Start without images; error_factor: of the standard deviations of lenses."""
        self._error_factor = error_factor
        self._seen: collections.OrderedDict[Intrinsics, _Seen] = collections.OrderedDict()

    def judge(self, camera: Intrinsics, lens: Lens, position: FloatArray, known: bool) -> Verdict:
        """Add the lens that fits an image from a position [3] (m), and judge its calibration.

        known: whether it is one that the map was built with.
        """
        seen = self._seen.setdefault(camera, _Seen())
        self._seen.move_to_end(camera)
        if len(self._seen) > _CAMERAS:
            self._seen.popitem(last=False)
        covariance = lens.covariance * self._error_factor**2 + np.diag(_IMAGE_ERRORS) ** 2
        estimate = _Estimate(np.array([lens.scale - 1.0, lens.radial]), np.linalg.inv(covariance))
        seen.add(estimate, position)
        focal, radial = np.array(_KNOWN_ERRORS) ** -2.0 if known else np.zeros(2)
        prior = _Estimate(np.zeros(2), np.diag([focal, radial]))
        for found in (_joined([prior, estimate]), _joined([prior, *seen.estimates])):
            if found.is_wrong:
                return Verdict(found.fault)
        prior = _Estimate(np.zeros(2), np.diag([0.0, radial]))
        left = _joined([prior, *seen.estimates]).left[0]
        together = _joined(seen.estimates)
        if known:
            # Landmarks of the map share the errors of its own calibration.
            limits = np.array(_CONFIRMED) * self._error_factor
            confirmed = left < limits[0] and together.left[1] < limits[1]
            return Verdict(open=None if confirmed else together.open)
        if left < _OTHER_OPEN:
            return Verdict(open=together.open)
        return Verdict(
            "the calibration is of another camera than the map's, and its focal length is not"
            f" confirmed yet: images leave it open by {min(1.0, left):.0%}",
            unconfirmed=True,
        )


class _Estimate(NamedTuple):
    """Errors [2] of a focal length and a radial term, and their information [2, 2]."""

    error: FloatArray
    information: FloatArray

    @property
    def sigma(self) -> float:
        """Return the standard deviation of the focal length's error."""
        return float(np.sqrt(np.linalg.inv(self.information)[0, 0]))

    @property
    def left(self) -> FloatArray:
        """Return the largest errors [2] within two standard deviations."""
        return np.abs(self.error) + 2.0 * np.sqrt(np.diag(np.linalg.inv(self.information)))

    @property
    def open(self) -> FloatArray:
        """Return the mean squares [2, 2] of the errors."""
        squares: FloatArray = np.linalg.inv(self.information) + np.outer(self.error, self.error)
        return squares

    @property
    def is_wrong(self) -> bool:
        """Whether the errors are neither small nor chance."""
        large = abs(self.error[0]) > _MIN_ZOOM or abs(self.error[1]) > _MIN_RADIAL
        return bool(large and self.error @ self.information @ self.error > _MAX_SQUARED)

    @property
    def fault(self) -> str:
        """Return what is wrong with the calibration, in words."""
        if abs(self.error[0]) > _FOCAL_RATIO:
            return (
                f"landmarks fit a focal length of {1.0 + self.error[0]:.2f} times the"
                " calibration's: it is of another camera, another resolution or another zoom"
            )
        return (
            "landmarks fit another distortion than the calibration's: are the images rectified and"
            " the calibration that of raw ones, or the other way round?"
        )


def _joined(estimates: Iterable[_Estimate]) -> _Estimate:
    estimates = [*estimates]
    information = np.sum([one.information for one in estimates], axis=0)
    weighted = np.sum([one.information @ one.error for one in estimates], axis=0)
    return _Estimate(np.linalg.solve(information, weighted), information)


class _Seen:
    """Estimates from the images of one calibration last."""

    def __init__(self) -> None:
        self.estimates: collections.deque[_Estimate] = collections.deque(maxlen=_IMAGES)
        self._position = np.full(3, np.inf)

    def add(self, estimate: _Estimate, position: FloatArray) -> None:
        """Add an image; of those from one point, the one that says most counts."""
        if not np.linalg.norm(position - self._position) < _APART_M:
            self.estimates.append(estimate)
            self._position = position
        elif estimate.sigma < self.estimates[-1].sigma:
            self.estimates[-1] = estimate


def zoomed(pose: CameraPose, landmarks: FloatArray) -> list[tuple[CameraPose, float]]:
    """Return the poses and focal lengths from which most landmarks [n, 3] (m) look alike."""
    ahead = pose.rotation[:, 2]
    distance = float(np.median((landmarks - pose.position) @ ahead))
    return [
        (pose._replace(position=pose.position + (1 - zoom) * distance * ahead), zoom)
        for zoom in _ZOOMS
    ]


def fitting_lens(pairs: Correspondences, starts: Iterable[tuple[CameraPose, float]]) -> Lens:
    """Return the lens that explains matches best, of which not all are right.

    pairs: by rays of the camera as it is stated. starts: poses, each with a scale of the focal
    length, to begin with.
    """
    begun = (
        _refined(pairs, _View(pose.position, pose.rotation, scale - 1.0, 0.0), _FIRST_PX)
        for pose, scale in starts
    )
    best = min(begun, key=lambda view: _cost(_linearized(pairs, view)[0]))
    return _lens(pairs, _refined(pairs, best, _LAST_PX))


def lens_drift(rays: FloatArray, landmarks: FloatArray, pose: CameraPose) -> FloatArray:
    """Return how [6, 2] a pose (m, rad about the map's axes) follows the errors of a lens.

    These are of the scale of the focal length, and of the radial term. rays: [n, 2] of landmarks
    [n, 3] (m) that fit the pose.
    """
    view = _View(pose.position, pose.rotation, 0.0, 0.0)
    residual, jacobian = _linearized(Correspondences(rays, landmarks), view)
    weighted = (jacobian / (1.0 + (residual**2).sum(axis=0))).reshape(8, -1)
    information, size = _normalized(weighted @ jacobian.reshape(8, -1).T)
    drift = -np.linalg.solve(information[:6, :6], information[:6, 6:])
    drift *= size[6:] / size[:6, None]
    return np.concatenate([view.axes @ drift[:3], view.axes @ drift[3:]])


class _View(NamedTuple):
    """Camera at a position [3] whose axes are the columns of a matrix [3, 3], and its lens."""

    position: FloatArray
    axes: FloatArray
    zoom: float
    radial: float


def _refined(pairs: Correspondences, view: _View, losses_px: tuple[float, ...]) -> _View:
    for loss_px in losses_px:
        residual, jacobian = _linearized(pairs, view)
        weight = 1.0 / (1.0 + (residual**2).sum(axis=0) / loss_px**2)
        weighted = (jacobian * weight).reshape(8, -1)
        information, size = _normalized(weighted @ jacobian.reshape(8, -1).T)
        step = -np.linalg.solve(information, weighted @ residual.ravel() / size) / size
        step *= min(1.0, _MAX_STEP / (np.abs(step[6:]).max() + 1e-12))
        turn = Rotation.from_rotvec(step[3:6]).as_matrix()
        view = _View(
            view.position + view.axes @ step[:3],
            view.axes @ turn,
            max(view.zoom + step[6], _MIN_SCALE - 1.0),
            view.radial + step[7],
        )
    return view


def _lens(pairs: Correspondences, view: _View) -> Lens:
    residual, jacobian = _linearized(pairs, view)
    squared = (residual**2).sum(axis=0)
    fits = squared < FINAL_ERROR_PX**2
    weighted = (jacobian * (fits / (1.0 + squared))).reshape(8, -1)
    information, size = _normalized(weighted @ jacobian.reshape(8, -1).T)
    error_px = float(np.median(np.abs(residual[:, fits]))) if fits.any() else 0.0
    sigma_px = max(1.4826 * error_px, MIN_SIGMA_PX) * INFLATION
    covariance = np.linalg.inv(information) * sigma_px**2 / np.outer(size, size)
    return Lens(
        1.0 + view.zoom,
        view.radial,
        covariance[6:, 6:],
        CameraPose(view.position, quaternion_of(view.axes)),
    )


def _normalized(information: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return an information [k, k] for unknowns of one size each, and the sizes [k]."""
    size = np.sqrt(np.diag(information)) + 1e-12
    return information / np.outer(size, size) + _DAMPING * np.eye(len(size)), size


def _cost(residual: FloatArray) -> float:
    """Return the cost of residuals [2, n] (pixels), each at most that of one which does not fit."""
    return float(np.minimum((residual**2).sum(axis=0), FINAL_ERROR_PX**2).sum())


def _linearized(pairs: Correspondences, view: _View) -> tuple[FloatArray, FloatArray]:
    """Return residuals [2, n] and their Jacobians [8, 2, n], in units of what pairs err by.

    These are by position and turn along and about the camera's axes, and by the lens.
    """
    rays = pairs.rays
    x, y, z = ((pairs.landmarks - view.position) @ view.axes).T
    ahead = z > _MIN_DEPTH_M
    near = FOCAL_PX / np.where(ahead, z, 1.0)
    x, y = x * near / FOCAL_PX, y * near / FOCAL_PX
    squared = x * x + y * y
    zoom = 1.0 + view.zoom + view.radial * squared
    residual = np.stack([x * zoom - rays[:, 0], y * zoom - rays[:, 1]]) * FOCAL_PX
    residual[:, ~ahead] = _FAR_PX
    # By x and y of the undistorted point: a symmetric matrix.
    twice = 2.0 * view.radial
    xx, xy, yy = zoom + twice * x * x, twice * x * y, zoom + twice * y * y
    by_point = np.empty((8, 2, len(x)))
    columns = (
        (-near, 0.0),
        (0.0, -near),
        (x * near, y * near),
        (FOCAL_PX * x * y, FOCAL_PX * (1.0 + y * y)),
        (-FOCAL_PX * (1.0 + x * x), -FOCAL_PX * x * y),
        (FOCAL_PX * y, -FOCAL_PX * x),
    )
    for row, (along_x, along_y) in enumerate(columns):
        by_point[row, 0] = xx * along_x + xy * along_y
        by_point[row, 1] = xy * along_x + yy * along_y
    by_point[6, 0], by_point[6, 1] = FOCAL_PX * x, FOCAL_PX * y
    by_point[7] = by_point[6] * squared
    if pairs.spread is None:
        return residual, by_point
    # A landmark that moves does the opposite of a camera that does.
    seen = np.einsum("can,nc->an", by_point[:3], pairs.spread @ view.axes)
    return whitened(residual, seen), whitened(by_point, seen)
