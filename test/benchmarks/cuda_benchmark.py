"""CLIP-RN50 (random weights) at 512 × 512 on a CUDA device, from images of 640 × 480.

Plain is the network as open_clip builds it, eager in float32, on the same device: torchvision's
transforms of Pillow images on the CPU, then one copy. The steps are those of ours for one batch,
each waited for, and say where the time goes. A pose is an answer to a raw message in a map of
100,000 places. A training step is that of stage 2 as the section "training" has it.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.nn import functional as F

from progeo_core.descriptors.encoder import Encoder
from progeo_core.images.ros_encodings import rgb_from_raw
from progeo_core.inference.device import thread_count
from progeo_core.inference.encoder_workbench import EncoderWorkbench
from progeo_core.inference.pixels import resize_on
from progeo_core.inference.runtime import TORCH, variants
from progeo_core.inference.runtime_trial import agreement
from progeo_core.localization.answer import CameraFrame
from progeo_core.localization.localizer import Localizer
from progeo_core.model.named_model import load_named_model
from test.benchmarks.clustered_map import clustered_map
from test.benchmarks.image_path_benchmark import (
    HEIGHT,
    PICTURE,
    TRANSFORMS,
    WIDTH,
    camera_image,
)
from test.benchmarks.row import Row, compare, milliseconds
from test.benchmarks.training_benchmark import Load, step_row

MODEL = "CLIP-RN50:none"
BATCH, PLACES, TIMED = 256, 100_000, 30
# Steps of an epoch, by mixed precision: enough that its start, which varies, hides no tenth of it.
STEPS = {False: 60, True: 200}
CUDA = torch.device("cuda")


def why_skipped() -> str:
    """Return why this cannot be measured here, "" where it can."""
    return "" if torch.cuda.is_available() else "torch finds no CUDA device"


def rows(folder: Path) -> Iterator[Row]:
    """Yield rows of batches, of single images, of poses and of the steps of a batch."""
    torch.manual_seed(0)
    model = load_named_model(MODEL)
    network = copy.deepcopy(model.network).eval().to(CUDA)
    bench = EncoderWorkbench(model.card, lambda: model, CUDA, folder / "cuda.onnx")
    images = [camera_image(path) for path in sorted(PICTURE.rglob("*.jpg"))]
    batch = [images[row % len(images)] for row in range(BATCH)]
    expected = plain(network, images[:4])
    for variant in variants(TORCH, CUDA):
        encoder = bench.build(variant)
        yield _rate(str(variant), encoder, network, batch, expected)
        yield compare(
            f"{variant}, one image",
            functools.partial(encoder.encode, images[:1]),
            lambda: plain(network, images[:1]),
            repeats=TIMED,
            also={"cosine": agreement(encoder.encode(images[:1]), expected[:1])},
        )
    encoder = bench.build(variants(TORCH, CUDA)[0])
    path, _ = clustered_map(folder, PLACES, model.card.fingerprint)
    localizer = Localizer.open(path, encoder)
    message = images[0].tobytes()
    yield compare(
        f"one message to its pose, {PLACES:,} places",
        lambda: localizer.localize(CameraFrame(_received(message))),
        lambda: localizer.localize_descriptor(plain(network, [_received(message)])[0]),
        repeats=TIMED,
    )
    yield from _steps(encoder, batch)
    workers = min(12, max(1, thread_count() - 1))
    for mixed, steps in STEPS.items():
        load = Load(steps, 512, workers, mixed)
        yield step_row(folder / f"training_{mixed}", CUDA, load)


def _received(message: bytes) -> np.ndarray:
    return rgb_from_raw(
        message, height=HEIGHT, width=WIDTH, encoding="rgb8", step=3 * WIDTH, is_bigendian=False
    )


@torch.inference_mode()
def plain(network: torch.nn.Module, images: list[np.ndarray]) -> np.ndarray:
    """Describe images in the usual way."""
    pixels = torch.stack([TRANSFORMS(Image.fromarray(image)) for image in images])
    return F.normalize(network(pixels.to(CUDA)), dim=1).cpu().numpy()


def _rate(
    case: str,
    encoder: Encoder,
    network: torch.nn.Module,
    batch: list[np.ndarray],
    expected: np.ndarray,
) -> Row:
    few = batch[:64]
    (own,) = milliseconds(lambda: encoder.encode(batch), repeats=5)
    (other,) = milliseconds(lambda: plain(network, few), repeats=2)
    ours, theirs = BATCH / float(np.median(own)) * 1e3, len(few) / float(np.median(other)) * 1e3
    cosine = agreement(encoder.encode(batch[:4]), expected)
    also = {"cosine": cosine, "memory MB": torch.cuda.max_memory_allocated() / 1e6}
    return Row(f"{case}, batches", "images/s", ours, theirs, more_is_better=True, also=also)


@torch.inference_mode()
def _steps(encoder: Encoder, batch: list[np.ndarray]) -> Iterator[Row]:
    """Time the copies with resizing, and the whole; the rest is the network's."""
    preprocessing = load_named_model(MODEL).card.preprocessing

    def send() -> None:
        for image in batch:
            resize_on(CUDA, image, preprocessing)

    send_ms, whole_ms = (
        float(np.median(times))
        for times in milliseconds(
            _waited_for(send), _waited_for(lambda: encoder.encode(batch)), repeats=5
        )
    )
    yield Row(f"copy and resize of {len(batch)}, of the whole", "ms", send_ms, whole_ms)


def _waited_for(function: Callable[[], object]) -> Callable[[], None]:
    def both() -> None:
        function()
        torch.cuda.synchronize()

    return both
