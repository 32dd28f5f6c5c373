"""Descriptors of a folder of JPEGs with CLIP-RN50 (random weights), in seconds for all of them.

Plain is the usual loop: Pillow, torchvision's transforms, a DataLoader with a process per core, and
the network in float32 as it was built.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from progeo_core.descriptors.encoder import Encoder, Skipped, describe
from progeo_core.images.codec import encode_jpeg, load_images, read_image
from progeo_core.inference.loading import load_encoder
from progeo_core.model.model_folder import save_model
from progeo_core.model.named_model import load_named_model
from test.benchmarks.image_path_benchmark import PICTURE, TRANSFORMS
from test.benchmarks.row import Row, milliseconds

MODEL = "CLIP-RN50:none"
IMAGES, BATCH = 24, 8
SIZES = ((640, 480), (1920, 1440))
TIMED = 3


class Folder(Dataset[torch.Tensor]):
    """Decode and transform the images of a folder, as most evaluation scripts do."""

    def __init__(self, paths: list[Path]) -> None:
        self.paths = paths

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, row: int) -> torch.Tensor:
        return TRANSFORMS(Image.open(self.paths[row]).convert("RGB"))


def rows(folder: Path) -> Iterator[Row]:
    """Yield one row per size of image."""
    card, network, _ = load_named_model(MODEL)
    # A runtime is chosen only for models that can be met again.
    save_model(folder / "network", card, network.state_dict())
    encoder = load_encoder(str(folder / "network"), "cpu")
    for size in SIZES:
        paths = write_images(folder / f"jpegs{size[0]}", size)
        own, other = milliseconds(
            functools.partial(ours, encoder, paths),
            functools.partial(plain, network, paths),
            repeats=TIMED,
        )
        seconds = float(np.median(own)) / 1e3, float(np.median(other)) / 1e3
        yield Row(f"{IMAGES} of {size[0]} × {size[1]}", "s", *seconds)


def write_images(folder: Path, size: tuple[int, int]) -> list[Path]:
    """Write shipped images, enlarged, as JPEGs; return their paths."""
    folder.mkdir()
    paths = []
    for row, source in enumerate(sorted(PICTURE.rglob("*.jpg"))[:IMAGES]):
        paths.append(folder / f"{row:03}.jpg")
        larger = cv2.resize(read_image(source), size, interpolation=cv2.INTER_CUBIC)
        paths[-1].write_bytes(encode_jpeg(np.asarray(larger, np.uint8)))
    return paths


def ours(encoder: Encoder, paths: list[Path]) -> None:
    """Describe all images."""
    images = load_images(paths, encoder.fingerprint.image_side)
    assert not any(isinstance(one, Skipped) for one in describe(encoder, images, paths))


@torch.inference_mode()
def plain(network: torch.nn.Module, paths: list[Path]) -> None:
    """Describe all images in the usual way."""
    for batch in DataLoader(Folder(paths), batch_size=BATCH, num_workers=os.cpu_count() or 1):
        F.normalize(network(batch), dim=1).numpy()
