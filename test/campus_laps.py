"""The campus loop driven twice with its real images: half of them in the first lap, half after."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from progeo_core.descriptors.encoder import Encoder
from progeo_core.errors import ImageError
from progeo_core.images.codec import Image, load_images
from progeo_core.images.intrinsics import Intrinsics
from progeo_core.localization.answer import CameraFrame
from progeo_core.records.records import read_records
from progeo_core.slam.keyframes import KeyframeSettings
from progeo_core.slam.loop_closure import LoopClosure, LoopClosureSettings
from progeo_core.slam.session import Session
from test.drifting_drive import LAP, Poses, stamp

CAMERA = Intrinsics(426, 240, 320.0, 320.0, 213.0, 120.0)
# The even images of a lap, then the odd ones.
ORDER = np.r_[0:LAP:2, 1:LAP:2]
# Every other image lies this far (m) from the next one.
SPACING = KeyframeSettings(distance_m=6.0)


class Laps(NamedTuple):
    """Hold images, their descriptors and the true poses."""

    images: list[Image]
    descriptors: NDArray[np.float32]
    truth: Poses


def read_laps(campus_loop: Path, encoder: Encoder) -> Laps:
    """Read and describe the images."""
    records = read_records(campus_loop / "records.csv")
    read = load_images([records.images[row] for row in ORDER])
    images = [image for image in read if not isinstance(image, ImageError)]
    poses = np.column_stack([records.position[:, :2], records.yaw_rad])
    return Laps(images, encoder.encode(images), poses[ORDER])


def close(laps: Laps, odometry: Poses | None, camera: Intrinsics | None) -> list[LoopClosure]:
    """Return the closures of a drive with odometry or none, by a calibrated camera or another."""
    drive = Session(laps.descriptors.shape[1], LoopClosureSettings(), SPACING)
    closures: list[LoopClosure] = []
    for row, (image, descriptor) in enumerate(zip(laps.images, laps.descriptors, strict=True)):
        if odometry is not None:
            x, y, yaw = odometry[row]
            drive.odometry.add(stamp(row), [x, y, 0.0], yaw)
        frame = CameraFrame(image, stamp(row), "front", camera)
        closures += drive.add_image(frame, descriptor).closures
    return closures
