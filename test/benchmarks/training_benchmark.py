"""A training step of stage 2 without prompts, CLIP-RN50 with random weights, batches of 32.

Ours reads JPEGs of 640 × 480 from the disk, augments them to square crops and steps both
optimisers: an epoch of some steps less one of a single step, as starting an epoch's loader is paid
once in thousands of steps. Plain is the bare forward and backward pass of the same network on
tensors of that size that are there already. On a machine without a GPU the loader shares the cores
with the network.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch

from progeo_core.dataset.place_classes import PlaceClassSettings
from progeo_core.images.codec import encode_jpeg, read_image
from progeo_core.inference.device import AUTO, choose_device
from progeo_core.records.cosplace_names import ImageName, format_name
from progeo_core.records.image_list import list_images
from progeo_core.train.clip_towers import ClipTowers, load_towers
from progeo_core.train.journal import Journal
from progeo_core.train.processes import Processes
from progeo_core.train.settings import TrainingSettings
from progeo_core.train.stage2 import EncoderTraining, GroupTask
from progeo_core.train.training_set import read_training_set
from test.benchmarks.image_path_benchmark import HEIGHT, PICTURE, WIDTH
from test.benchmarks.row import Row, milliseconds

TIMED = 3
BATCH = TrainingSettings().stage2.batch_size


class Load(NamedTuple):
    """Steps of one size: steps of an epoch, side of crops (pixels), loaders, mixed precision."""

    steps: int
    side: int
    workers: int
    mixed: bool = False


def rows(folder: Path) -> Iterator[Row]:
    """Yield one row."""
    yield step_row(folder / "training", choose_device(AUTO), Load(steps=5, side=224, workers=1))


def step_row(folder: Path, device: torch.device, load: Load) -> Row:
    """Compare a training step on a device with the bare passes, both in one precision."""
    train = _write_images(folder)
    where = Processes(0, 1, device)
    settings = _settings(folder, load)
    towers = load_towers(settings, "stage2")
    epoch = _training(settings, towers, train, where)
    start = _training(_settings(folder, load._replace(steps=0)), towers, train, where)
    images = torch.rand(BATCH, 3, load.side, load.side, device=device)

    def bare() -> None:
        for _ in range(load.steps):
            with torch.autocast(device.type, torch.bfloat16, enabled=load.mixed):
                loss = towers.network(images).float().sum()
            loss.backward()
        if device.type == "cuda":
            torch.cuda.synchronize()

    (folder / "run").mkdir()
    with Journal(folder / "run", where) as journal:
        all_ms, start_ms, bare_ms = milliseconds(
            lambda: epoch.run_epoch(journal),
            lambda: start.run_epoch(journal),
            bare,
            repeats=TIMED,
        )
    ours = (np.array(all_ms) - np.array(start_ms)) / load.steps
    plain = np.array(bare_ms) / load.steps
    also = {
        "least ms": float(ours.min()),
        "plain least ms": float(plain.min()),
        "epoch of one step ms": float(np.median(start_ms)),
    }
    precision = "bfloat16" if load.mixed else "float32"
    case = f"a step of {BATCH} at {load.side} × {load.side} in {precision} on {device.type}"
    return Row(case, "ms", float(np.median(ours)), float(np.median(plain)), also=also)


def _settings(folder: Path, load: Load) -> TrainingSettings:
    default = TrainingSettings()
    return dataclasses.replace(
        default,
        places=PlaceClassSettings(M=5, alpha=360, N=1, L=1, groups_num=1, min_images_per_class=2),
        network=dataclasses.replace(default.network, pretrained="none"),
        stage2=dataclasses.replace(
            default.stage2,
            without_prompts=True,
            batch_size=BATCH,
            iterations_per_epoch=load.steps + 1,
            image_size=load.side,
        ),
        run=dataclasses.replace(
            default.run,
            num_workers=load.workers,
            use_amp16=load.mixed,
            amp_dtype="bfloat16",
            save_dir=str(folder),
        ),
    )


def _training(
    settings: TrainingSettings, towers: ClipTowers, train: Path, where: Processes
) -> EncoderTraining:
    groups = read_training_set(train, settings.places).groups
    tasks = [GroupTask(group, towers.dimension, None) for group in groups]
    return EncoderTraining(towers.network, tasks, list_images(train), settings, where)


def _write_images(folder: Path) -> Path:
    """Enlarge the shipped images, and say that they were taken a metre apart."""
    train = folder / "train"
    train.mkdir(parents=True)
    for metre, path in enumerate(sorted(PICTURE.rglob("*.jpg"))):
        image = np.asarray(cv2.resize(read_image(path), (WIDTH, HEIGHT)), np.uint8)
        (train / format_name(ImageName(float(metre), 0.0))).write_bytes(encode_jpeg(image))
    return train
