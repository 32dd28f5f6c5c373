"""A camera's calibration: from pixels to rays and back, and how ROS messages state it."""

from __future__ import annotations

import dataclasses
import functools
import math
import re
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import ArrayLike

from progeo_core.errors import DataError, UsageError
from progeo_core.geo import FloatArray

# Models of ROS and the lens model here that each one is.
LENS_MODELS = {"plumb_bob": "pinhole", "rational_polynomial": "pinhole", "equidistant": "fisheye"}
# Names that drivers have for projections without a plane, which no coefficient tells of.
_PANORAMA = re.compile(r"equirect|spheric|cylind|panoram|omni", re.IGNORECASE)
# How many coefficients OpenCV takes for each lens model.
COEFFICIENTS = {"pinhole": (0, 4, 5, 8, 12, 14), "fisheye": (4,)}
# No focal length, centre (pixels) or coefficient of a real calibration comes near it.
_MAX_NUMBER = 1e9
# A ray farther off the axis than this meets the plane z = 1 too far away to compare points there.
_MAX_RADIUS = math.tan(math.radians(75.0))
# Rays of one camera that was calibrated twice differ by less (share of the focal length).
_SAME_RAYS = 0.01
# Images whose aspect ratios differ by more than this do not have the same field of view.
_ASPECT_TOLERANCE = 0.01
# The inverse of a lens is found in steps; a ray is wrong that projects farther (px) from its pixel.
_MAX_RESIDUAL_PX = 0.1
_INVERSION = (cv2.TERM_CRITERIA_COUNT + cv2.TERM_CRITERIA_EPS, 100, 1e-10)
# Angles at which a lens model is asked whether it still grows; it need not, beyond its images.
_ANGLES = np.linspace(0.0, math.radians(89.0), 1000)

# Width, height, focal lengths x and y, centre x and y (pixels).
_Numbers: TypeAlias = tuple[int, int, float, float, float, float]


@dataclasses.dataclass(frozen=True)
class Intrinsics:
    """Calibration of a camera, in pixels of its images of width x height.

    distortion: OpenCV's coefficients; for "pinhole" at most 14, none for rectified images, for
        "fisheye" (equidistant, Kannala and Brandt 2006) four.
    """

    width: int
    height: int
    focal_x: float
    focal_y: float
    center_x: float
    center_y: float
    distortion: tuple[float, ...] = ()
    model: str = "pinhole"

    @property
    def usable(self) -> bool:
        """Whether these are numbers of a camera: a driver without calibration sends zeros."""
        numbers = (self.focal_x, self.focal_y, self.center_x, self.center_y, *self.distortion)
        return (
            min(self.width, self.height) > 0
            and all(abs(number) <= _MAX_NUMBER for number in numbers)
            and min(self.focal_x, self.focal_y) > 0.0
            and len(self.distortion) in COEFFICIENTS.get(self.model, ())
        )

    @classmethod
    def from_json(cls, fields: Any) -> Intrinsics:
        """Return the calibration that `to_json` wrote; `DataError` for anything else."""
        try:
            names = ("focal_x", "focal_y", "center_x", "center_y")
            focal_x, focal_y, center_x, center_y = (float(fields[name]) for name in names)
            found = cls(
                int(fields["width"]),
                int(fields["height"]),
                focal_x,
                focal_y,
                center_x,
                center_y,
                distortion=tuple(float(value) for value in fields["distortion"]),
                model=str(fields["model"]),
            )
        except (TypeError, ValueError, LookupError, OverflowError) as error:
            raise DataError(f"the calibration of a camera cannot be read ({error!r})") from None
        if not found.usable:
            raise DataError(f"the calibration is of no camera: {found}")
        return found

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON has them."""
        return dataclasses.asdict(self) | {"distortion": list(self.distortion)}

    def matrix(self, size: tuple[int, int]) -> FloatArray:
        """Return the camera matrix [3, 3] for its images scaled to a size (width, height)."""
        x, y = size[0] / self.width, size[1] / self.height
        center_x, center_y = _moved(self.center_x, x), _moved(self.center_y, y)
        return np.array(
            [[self.focal_x * x, 0.0, center_x], [0.0, self.focal_y * y, center_y], [0.0, 0.0, 1.0]]
        )

    def scaled(self, width: int, height: int) -> Intrinsics:
        """Return the calibration for images of another size with the same field of view.

        Raises `UsageError` where the aspect ratio differs by more than 1 %.
        """
        if (width, height) == (self.width, self.height):
            return self
        aspect = width * self.height / max(1, height * self.width)
        if min(width, height) <= 0 or abs(aspect - 1.0) > _ASPECT_TOLERANCE:
            raise UsageError(
                f"the calibration is for images of {self.width}x{self.height} pixels and does not"
                f" fit one of {width}x{height}: calibrate for this size, or for one of its aspect"
                " ratio"
            )
        x, y = width / self.width, height / self.height
        return dataclasses.replace(
            self,
            width=width,
            height=height,
            focal_x=self.focal_x * x,
            focal_y=self.focal_y * y,
            center_x=_moved(self.center_x, x),
            center_y=_moved(self.center_y, y),
        )

    def is_like(self, other: Intrinsics) -> bool:
        """Whether another calibration has the same rays for the pixels of an image, within 1 %."""
        if self == other:
            return True
        try:
            scaled = other.scaled(self.width, self.height)
        except UsageError:
            return False
        grid = np.stack(np.meshgrid(*map(_spread, (self.width, self.height))), -1).reshape(-1, 2)
        rays, theirs = self.normalized(grid), scaled.normalized(grid)
        both = np.isfinite(rays).all(axis=1) & np.isfinite(theirs).all(axis=1)
        apart = np.hypot(*(rays - theirs)[both].T)
        radius = np.hypot(*rays[both].T)
        allowed = _SAME_RAYS * np.maximum(np.minimum(radius.max(initial=0.0), 1.0), radius)
        return bool(both.any() and (apart <= allowed).all())

    def normalized(self, points: ArrayLike) -> FloatArray:
        """Return where the rays of pixels [n, 2] meet the plane z = 1 of the camera [n, 2].

        x is right and y is down. NaN where there is no such ray, or it is 75° or more off the axis.
        """
        pixels = np.asarray(points, np.float64).reshape(-1, 2)
        if not self.distortion:
            center, focal = (self.center_x, self.center_y), (self.focal_x, self.focal_y)
            rays: FloatArray = (pixels - center) / focal
        else:
            rays = self._undistorted(pixels)
        rays[~(np.hypot(rays[:, 0], rays[:, 1]) < _MAX_RADIUS)] = np.nan
        return rays

    def pixels(self, points: ArrayLike) -> FloatArray:
        """Return the pixels [n, 2], distorted, of points [n, 3] (m) in the camera's frame.

        x is right, y down, z forward. NaN behind the camera, and where the lens model does not
        hold because it folds back.
        """
        metres = np.asarray(points, np.float64).reshape(-1, 3)
        seen = np.full((len(metres), 2), np.nan)
        with np.errstate(all="ignore"):
            rays = metres[:, :2] / metres[:, 2:]
            radius = np.hypot(rays[:, 0], rays[:, 1])
        rows = np.flatnonzero((metres[:, 2] > 0.0) & (radius < self._fold_radius))
        center, focal = (self.center_x, self.center_y), (self.focal_x, self.focal_y)
        seen[rows] = self._distorted(rays[rows], self.distortion) * focal + center
        return seen

    @functools.cached_property
    def _fold_radius(self) -> float:
        """Return the radius on the plane z = 1 where the distorted radius stops to grow."""
        if not any(self.distortion):
            return math.inf
        # Radial coefficients only: the others move pixels by less than these.
        coefficients = np.array(self.distortion[:8])
        if self.model == "pinhole":
            coefficients[2:4] = 0.0
        radii = np.tan(_ANGLES)
        rays = np.stack([radii, np.zeros_like(radii)], axis=-1)
        with np.errstate(all="ignore"):
            grows = np.diff(self._distorted(rays, coefficients)[:, 0]) > 0.0
        return math.inf if grows.all() else float(radii[np.argmin(grows)])

    def _distorted(self, rays: FloatArray, distortion: ArrayLike) -> FloatArray:
        """Return where the lens puts rays [n, 2], for a focal length of 1."""
        if not len(rays) or not np.size(distortion):
            return rays
        points = np.concatenate([rays, np.ones((len(rays), 1))], axis=1)[:, np.newaxis]
        project = cv2.fisheye.projectPoints if self.model == "fisheye" else cv2.projectPoints
        still = np.zeros(3)
        found, _ = project(points, still, still, np.eye(3), np.asarray(distortion, np.float64))
        return np.asarray(found, np.float64).reshape(-1, 2)

    def _undistorted(self, pixels: FloatArray) -> FloatArray:
        """Return the rays [n, 2] that the lens puts at pixels, NaN where none of them does."""
        rays = np.full(pixels.shape, np.nan)
        rows = np.flatnonzero(np.isfinite(pixels).all(axis=1))
        if not rows.size:
            return rays
        matrix, coefficients = self.matrix((self.width, self.height)), np.array(self.distortion)
        given = np.ascontiguousarray(pixels[rows, np.newaxis])
        if self.model == "fisheye":
            found = cv2.fisheye.undistortPoints(given, matrix, coefficients, criteria=_INVERSION)
        else:
            found = cv2.undistortPointsIter(
                given, matrix, coefficients, np.eye(3), np.eye(3), _INVERSION
            )
        candidates = np.asarray(found, np.float64).reshape(-1, 2)
        ahead = np.concatenate([candidates, np.ones((len(rows), 1))], axis=1)
        residual = np.linalg.norm(self.pixels(ahead) - pixels[rows], axis=1)
        right = residual < _MAX_RESIDUAL_PX
        rays[rows[right]] = candidates[right]
        return rays


def _spread(pixels: int) -> FloatArray:
    """Return five pixels of a side, from its first to its last."""
    return np.linspace(0.0, pixels - 1.0, 5)


def _moved(pixel: float, scale: float) -> float:
    """Return where a pixel is after scaling: whole numbers are the middles of pixels."""
    return (pixel + 0.5) * scale - 0.5


def ros_model(intrinsics: Intrinsics) -> str:
    """Return the name that ROS has for a distortion model."""
    if intrinsics.model == "fisheye":
        return "equidistant"
    return "rational_polynomial" if len(intrinsics.distortion) > 5 else "plumb_bob"


def info_topic(image_topic: str) -> str:
    """Return the topic where drivers publish the calibration: the image's last word replaced.

    image_topic: without the suffix of a transport.
    """
    return f"{image_topic.rpartition('/')[0]}/camera_info"


def is_rectified(image_topic: str) -> bool:
    """Whether a topic's name says that its images are free of distortion, as image_proc's do."""
    return "rect" in image_topic.rpartition("/")[2]


def read_camera_info(message: Any, rectified: bool) -> Intrinsics | None:
    """Return the calibration in a CameraInfo, None where it has none or of an unknown model.

    rectified: the images are free of distortion, and P describes them instead of K and D. Where a
    region of interest is less than the sensor's image, the calibration is that of the region.
    """
    numbers = _numbers_of(message, rectified)
    if rectified:
        return intrinsics_of_ros(numbers, (), "")
    distortion = tuple(float(value) for value in message.d)
    return intrinsics_of_ros(numbers, distortion, message.distortion_model)


def why_no_calibration(message: Any, rectified: bool) -> str:
    """Return what is wrong with a CameraInfo that `read_camera_info` has no calibration of."""
    width, height, *matrix = _numbers_of(message, rectified)
    distortion = () if rectified else tuple(message.d)
    name = "P" if rectified else "K"
    if not all(abs(number) <= _MAX_NUMBER for number in (*matrix, *distortion)):
        return f"a number of {name} or D is not finite"
    if min(matrix[:2]) <= 0.0:
        return f"its focal length in {name} is {min(matrix[:2]):g}: calibrate the camera"
    if not width * height:
        return f"it is for images of {width}x{height} pixels"
    return f"its distortion model '{message.distortion_model}' cannot be used"


def _numbers_of(message: Any, rectified: bool) -> _Numbers:
    """Return width, height, focal lengths and centre in a CameraInfo (pixels)."""
    if rectified:
        x, _, center_x, _, _, y, center_y, *_ = message.p
    else:
        x, _, center_x, _, y, center_y, *_ = message.k
    width, height, roi = message.width, message.height, message.roi
    # All of it may be stated by zeros, too.
    if 0 < roi.width <= width - roi.x_offset and 0 < roi.height <= height - roi.y_offset:
        width, height = roi.width, roi.height
        center_x, center_y = center_x - roi.x_offset, center_y - roi.y_offset
    return width, height, float(x), float(y), float(center_x), float(center_y)


def intrinsics_of_ros(
    numbers: _Numbers, distortion: tuple[float, ...], model: str
) -> Intrinsics | None:
    """Return a calibration as ROS states it, None where it is of no camera or an unknown model.

    Coefficients that are
    all zero need no model, except that four of an equidistant lens describe an ideal fisheye, and
    that panoramas are on no plane.
    """
    lens = LENS_MODELS.get(model)
    if _PANORAMA.search(model):
        return None
    if not any(distortion) and (lens != "fisheye" or len(distortion) != 4):
        distortion, lens = (), "pinhole"
    if lens is None:
        return None
    found = Intrinsics(*numbers, distortion, lens)
    return found if found.usable else None
