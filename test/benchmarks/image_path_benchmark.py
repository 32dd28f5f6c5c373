"""From an image message of 640 × 480 to the network's input, against what is usual.

Plain copies the message's bytes, converts with OpenCV or Pillow, and applies torchvision's
transforms to the Pillow image.
"""

from __future__ import annotations

import functools
import io
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image
from torchvision import transforms

from progeo_core.images.codec import Image as RgbImage
from progeo_core.images.codec import encode_jpeg, read_image
from progeo_core.images.ros_encodings import rgb_from_compressed, rgb_from_raw
from progeo_core.model.preprocessing import IMAGENET_MEAN, IMAGENET_STD, Preprocessing
from test.benchmarks.row import Row, compare

PICTURE = Path(__file__).parents[2] / "progeo_core" / "demo_data" / "corridor"
WIDTH, HEIGHT = 640, 480
TIMED = 100
PREPROCESSING = Preprocessing()
TRANSFORMS = transforms.Compose(
    [
        transforms.Resize((PREPROCESSING.height, PREPROCESSING.width)),
        transforms.ToTensor(),
        transforms.Normalize(IMAGENET_MEAN, IMAGENET_STD),
    ]
)


def rows(folder: Path) -> Iterator[Row]:
    """Yield one row per kind of message."""
    rgb = camera_image()
    bgr = np.ascontiguousarray(rgb[:, :, ::-1])
    for encoding, pixels in (("rgb8", rgb), ("bgr8", bgr)):
        data = pixels.tobytes()
        yield compare(
            f"raw {encoding}",
            functools.partial(_ours_raw, data, encoding),
            functools.partial(_plain_raw, data, encoding),
            repeats=TIMED,
        )
    jpeg = encode_jpeg(rgb)
    yield compare(
        "JPEG",
        lambda: _ours(rgb_from_compressed(jpeg, "jpeg", "camera")),
        lambda: TRANSFORMS(Image.open(io.BytesIO(bytes(jpeg))).convert("RGB"))[None],
        repeats=TIMED,
    )


def camera_image(source: Path | None = None) -> RgbImage:
    """Return a shipped image in the size of a camera's."""
    picture = read_image(source or min(PICTURE.rglob("*.jpg")))
    return np.ascontiguousarray(cv2.resize(picture, (WIDTH, HEIGHT)), np.uint8)


def _ours_raw(data: bytes, encoding: str) -> torch.Tensor:
    return _ours(
        rgb_from_raw(
            data, height=HEIGHT, width=WIDTH, encoding=encoding, step=3 * WIDTH, is_bigendian=False
        )
    )


def _ours(image: RgbImage) -> torch.Tensor:
    return torch.from_numpy(PREPROCESSING.normalize(PREPROCESSING.resize(image)[None]))


def _plain_raw(data: bytes, encoding: str) -> torch.Tensor:
    pixels = np.frombuffer(bytearray(data), np.uint8).reshape(HEIGHT, WIDTH, 3)
    rgb = cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB) if encoding == "bgr8" else pixels.copy()
    return TRANSFORMS(Image.fromarray(rgb))[None]
