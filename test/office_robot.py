"""A robot in the office of the test images: its camera's messages, and where its base is."""

from __future__ import annotations

from array import array
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
from sensor_msgs.msg import CameraInfo, Image

from progeo_core.geo import FloatArray
from progeo_core.images.calibration_file import read_calibration
from progeo_core.images.codec import read_image
from progeo_core.records.records import Records
from progeo_ros.conversions import stamp_from_ns


class Mount(NamedTuple):
    """Offset [3] (m) and turn of a camera's optical axes on its robot."""

    offset: FloatArray
    turn: Rotation

    @property
    def text(self) -> str:
        """Return what the parameter camera_extrinsics says of it."""
        return " ".join(f"{number:.9f}" for number in (*self.offset, *self.turn.as_quat()))

    def base(self, records: Records, row: int) -> tuple[FloatArray, Rotation]:
        """Return position and orientation of the base, by homogeneous matrices."""
        camera, mount = np.eye(4), np.eye(4)
        camera[:3, :3] = Rotation.from_quat(records.orientation[row]).as_matrix()
        camera[:3, 3] = records.position[row]
        mount[:3, :3], mount[:3, 3] = self.turn.as_matrix(), self.offset
        base = camera @ np.linalg.inv(mount)
        return base[:3, 3], Rotation.from_matrix(base[:3, :3])


# Looks ahead and 25° down, from 0.4 m in front of the base, 0.15 m to its left, 0.9 m above it.
TILTED = Mount(
    np.array([0.4, 0.15, 0.9]),
    Rotation.from_euler("y", 25, degrees=True) * Rotation.from_quat([-0.5, 0.5, -0.5, 0.5]),
)


def image_message(path: Path, stamp_ns: int, frame: str) -> Image:
    """Return an image as a camera driver sends it."""
    pixels = read_image(path)
    height, width, _ = pixels.shape
    message = Image(height=height, width=width, encoding="rgb8", step=3 * width)
    message.data = array("B", pixels.tobytes())
    message.header.stamp, message.header.frame_id = stamp_from_ns(stamp_ns), frame
    return message


def depth_message(path: Path, stamp_ns: int) -> Image:
    """Return a depth image in millimetres."""
    values: NDArray[np.uint16] = np.asarray(cv2.imread(str(path), cv2.IMREAD_UNCHANGED), "<u2")
    height, width = values.shape
    message = Image(height=height, width=width, encoding="16UC1", step=2 * width)
    message.data = array("B", values.tobytes())
    message.header.stamp = stamp_from_ns(stamp_ns)
    return message


def info_message(office: Path) -> CameraInfo:
    """Return the calibration of the camera."""
    camera = read_calibration(office / "camera_info.yaml")
    matrix = camera.matrix((camera.width, camera.height))
    return CameraInfo(width=camera.width, height=camera.height, k=matrix.ravel().tolist())
