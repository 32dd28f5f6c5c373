"""Whether landmarks fit the camera that is said to have seen them, or another one better.

A pose is refined together with the focal length and one radial term of the lens, robustly over all
matches (Triggs et al. 2000, Bundle Adjustment – A Modern Synthesis). What a wrong calibration does
to a pose, its covariance does not show: the landmarks that fit are few, and agree.
"""

from __future__ import annotations

import collections
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from progeo_core.geo import FloatArray
from progeo_core.images.intrinsics import Intrinsics
from progeo_core.poses.camera_pose import CameraPose
from progeo_core.verification.absolute_pose import FINAL_ERROR_PX, FOCAL_PX

# Scales (pixels) of Cauchy's loss, one iteration each.
_LOSS_PX = (8.0, 8.0, 4.0, 4.0, 2.0, 2.0, 1.0, 1.0)
# A wrong calibration hides landmarks that fit: this many times as many fit the right one, which
# moves rays by so much (pixels, root mean square). Right ones gained up to an eighth.
_MAX_GAIN, _MIN_SHIFT_PX = 1.14, 4.0
# Where landmarks are by depth, right calibrations were moved by up to 12 pixels, where they are
# triangulated, and wrong together, by up to 31.
MAX_SHIFT_PX, MAX_SHIFT_TRIANGULATED_PX = 14.0, 32.0
# Over so many images from points this far apart (m), the medians of the focal length's error and of
# the radial term that a right calibration lacks stayed below half of these. Fewer images, but this
# many at least, must show as much more as they are fewer.
_IMAGES, _APART_M, _MAX_ZOOM, _MAX_RADIAL = 12, 0.25, 0.05, 0.08
_MIN_IMAGES = 4
# Calibrations with a history, as of the cameras of a rig.
_CAMERAS = 8
# From so far off on, it is the focal length that is named.
_FOCAL_RATIO = 0.03
_MIN_DEPTH_M, _MAX_RAY, _FAR_PX, _DAMPING = 0.05, 2.0, 1e6, 1e-9


class Lens(NamedTuple):
    """Camera that fits landmarks, against the one that was stated.

    scale: of the focal length, 1 as stated. radial: distortion that the calibration lacks, as a
    share at a ray's distance of 1 from the axis on the plane z = 1. shift_px: how far both move the
    rays (pixels, root mean square). gain: landmarks that fit it, as a multiple of those that fit
    the stated one.
    """

    scale: float
    radial: float
    shift_px: float
    gain: float

    def contradicts(self, max_shift_px: float = MAX_SHIFT_PX) -> bool:
        """Whether one image shows that the stated calibration is not that of the camera.

        max_shift_px: what the errors of landmarks make of a right one.
        """
        hides = self.gain > _MAX_GAIN and self.shift_px > _MIN_SHIFT_PX
        return hides or (self.gain > 1.0 and self.shift_px > max_shift_px)

    @property
    def fault(self) -> str:
        """Return what is wrong with the calibration, in words."""
        if abs(self.scale - 1.0) > _FOCAL_RATIO:
            return (
                f"landmarks fit a focal length of {self.scale:.2f} times the calibration's: it is"
                " of another camera, another resolution or another zoom"
            )
        return (
            "landmarks fit another distortion than the calibration's: are the images rectified and"
            " the calibration that of raw ones, or the other way round?"
        )


class LensHistory:
    """Lenses that fitted each camera's images last, each from another point than the one before.

    One image says little of a lens: few landmarks, all at one distance, leave it open. Their median
    says more. Cameras of a rig take turns: each calibration has a history of its own, of the
    cameras that were used last.
    """

    def __init__(self, max_shift_px: float = MAX_SHIFT_PX) -> None:
        """Start without images; max_shift_px: see `Lens.contradicts`."""
        self._max_shift_px = max_shift_px
        self._seen: collections.OrderedDict[Intrinsics, _Seen] = collections.OrderedDict()

    def fault(self, camera: Intrinsics, lens: Lens, position: FloatArray) -> str:
        """Add the lens that fits an image from a position [3] (m).

        Return what is wrong with the calibration of its camera, "" where nothing is known to be.
        """
        seen = self._seen.setdefault(camera, _Seen())
        self._seen.move_to_end(camera)
        if len(self._seen) > _CAMERAS:
            self._seen.popitem(last=False)
        seen.add(lens, position)
        return lens.fault if lens.contradicts(self._max_shift_px) else seen.fault


class _Seen:
    """Lenses that fitted the images of one calibration last."""

    def __init__(self) -> None:
        self._lenses: collections.deque[Lens] = collections.deque(maxlen=_IMAGES)
        self._position = np.full(3, np.inf)

    def add(self, lens: Lens, position: FloatArray) -> None:
        """Add the lens of an image, if it is from another point than the one before."""
        if not np.linalg.norm(position - self._position) < _APART_M:
            self._lenses.append(lens)
            self._position = position

    @property
    def fault(self) -> str:
        """Return what all images together show to be wrong, "" where nothing is known to be."""
        if len(self._lenses) < _MIN_IMAGES:
            return ""
        times = _IMAGES / len(self._lenses)
        usual = Lens(*np.median(self._lenses, axis=0).tolist())
        zoomed = abs(usual.scale - 1.0) > _MAX_ZOOM * times
        wrong = zoomed or abs(usual.radial) > _MAX_RADIAL * times
        return usual.fault if wrong else ""


def fitting_lens(rays: FloatArray, landmarks: FloatArray, pose: CameraPose) -> Lens:
    """Return the lens that explains matches best.

    rays: [n, 2] where the stated camera's rays meet its plane z = 1. landmarks: [n, 3] (m), not all
    right. pose: that of the stated camera.
    """
    position, axes, lens = pose.position, pose.rotation, np.zeros(2)
    residual, jacobian = _linearized(rays, landmarks, position, axes, lens)
    before = int(np.count_nonzero(_fits(residual)))
    for loss_px in _LOSS_PX:
        weight = 1.0 / (1.0 + (residual**2).sum(axis=1) / loss_px**2)
        weighted = (jacobian * weight[:, None, None]).reshape(-1, 8)
        information = weighted.T @ jacobian.reshape(-1, 8)
        size = np.sqrt(np.diag(information)) + 1e-12
        information = information / np.outer(size, size) + _DAMPING * np.eye(8)
        step = -np.linalg.solve(information, weighted.T @ residual.ravel() / size) / size
        position = position + step[:3]
        axes = Rotation.from_rotvec(step[3:6]).as_matrix() @ axes
        lens = lens + step[6:]
        residual, jacobian = _linearized(rays, landmarks, position, axes, lens)
    fits = _fits(residual)
    seen = (landmarks[fits] - position) @ axes
    points = seen[:, :2] / seen[:, 2:]
    # Farther from the axis, a lens may fold back upon what it is to fit.
    points = points[np.hypot(*points.T) < _MAX_RAY]
    moved = (lens[0] + lens[1] * (points**2).sum(axis=1, keepdims=True)) * points
    shift_px = FOCAL_PX * np.sqrt((moved**2).sum() / max(1, len(points)))
    return Lens(
        float(1.0 + lens[0]),
        float(lens[1]),
        float(shift_px),
        int(np.count_nonzero(fits)) / max(1, before),
    )


def _fits(residual: FloatArray) -> NDArray[np.bool_]:
    """Return which landmarks [n] are where they are seen, by their residuals [n, 2] (pixels)."""
    return np.asarray(np.hypot(*residual.T) < FINAL_ERROR_PX)


def _linearized(
    rays: FloatArray,
    landmarks: FloatArray,
    position: FloatArray,
    axes: FloatArray,
    lens: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    """Return residuals [n, 2] (pixels) and their Jacobians [n, 2, 8].

    These are by position, turn about the map's axes, and lens.
    """
    offset = landmarks - position
    x, y, z = (offset @ axes).T
    ahead = z > _MIN_DEPTH_M
    z = np.where(ahead, z, 1.0)
    point = np.stack([x / z, y / z], axis=1)
    squared = (point**2).sum(axis=1)
    zoom = 1.0 + lens[0] + lens[1] * squared
    residual = (point * zoom[:, None] - rays) * FOCAL_PX
    zero = np.zeros_like(z)
    projection = np.stack(
        [np.stack([1.0 / z, zero, -x / z**2], 1), np.stack([zero, 1.0 / z, -y / z**2], 1)], 1
    )
    bent = zoom[:, None, None] * np.eye(2) + 2.0 * lens[1] * point[:, :, None] * point[:, None]
    by_point = bent @ projection @ axes.T
    by_turn = np.cross(by_point, offset[:, None])
    by_lens = np.stack([point, point * squared[:, None]], axis=2)
    jacobian = np.concatenate([-by_point, by_turn, by_lens], axis=2) * FOCAL_PX
    residual[~ahead] = _FAR_PX
    return residual, jacobian
