"""A camera's calibration, and how ROS messages tell it."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from progeo_core.errors import DataError
from progeo_core.geo import FloatArray

# Models that OpenCV's coefficients express, and how many of them it takes; fisheye lenses
# ("equidistant") are not among them.
_MODELS = ("plumb_bob", "rational_polynomial")
_COEFFICIENTS = (0, 4, 5, 8, 12, 14)
# No focal length, centre (pixels) or coefficient of a real calibration comes near it.
_MAX_NUMBER = 1e9


@dataclasses.dataclass(frozen=True)
class Intrinsics:
    """Calibration of a camera, in pixels of its images of width x height.

    distortion: OpenCV's coefficients, at most 14, none for rectified images.
    """

    width: int
    height: int
    focal_x: float
    focal_y: float
    center_x: float
    center_y: float
    distortion: tuple[float, ...] = ()
    model: str = "pinhole"

    def to_json(self) -> dict[str, Any]:
        """Return the calibration as a map file keeps it."""
        return dataclasses.asdict(self) | {"distortion": list(self.distortion)}

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Intrinsics:
        """Return the calibration that `to_json` wrote; `DataError` where it is not usable."""
        try:
            found = cls(**document | {"distortion": tuple(document["distortion"])})
            if found.usable:
                return found
        except (TypeError, ValueError, KeyError):
            pass
        raise DataError("the calibration of a camera cannot be used")

    @property
    def usable(self) -> bool:
        """Whether these are numbers of a camera: a driver without calibration sends zeros."""
        numbers = (self.focal_x, self.focal_y, self.center_x, self.center_y, *self.distortion)
        return (
            min(self.width, self.height) > 0
            and all(abs(number) <= _MAX_NUMBER for number in numbers)
            and min(self.focal_x, self.focal_y) > 0.0
            and len(self.distortion) in _COEFFICIENTS
        )

    def matrix(self, size: tuple[int, int]) -> FloatArray:
        """Return the camera matrix [3, 3] for its images scaled to a size (width, height)."""
        x, y = size[0] / self.width, size[1] / self.height
        return np.array(
            [
                [self.focal_x * x, 0.0, self.center_x * x],
                [0.0, self.focal_y * y, self.center_y * y],
                [0.0, 0.0, 1.0],
            ]
        )


def read_camera_info(message: Any, rectified: bool) -> Intrinsics | None:
    """Return the calibration in a CameraInfo, None where it has none or OpenCV has no such model.

    rectified: the images are free of distortion, and P describes them instead of K and D.
    """
    if rectified:
        x, _, center_x, _, _, y, center_y, *_ = message.p
        found = Intrinsics(message.width, message.height, x, y, center_x, center_y)
    else:
        distortion = tuple(float(value) for value in message.d)
        if not any(distortion):
            distortion = ()
        elif message.distortion_model not in _MODELS:
            return None
        x, _, center_x, _, y, center_y, *_ = message.k
        found = Intrinsics(message.width, message.height, x, y, center_x, center_y, distortion)
    return found if found.usable else None
