"""One epoch of stage 2 without prompts, CLIP-RN50 with random weights, crops of 224 × 224.

Ours reads the images from the disk, augments them and steps both optimisers; plain is the bare
forward and backward pass of the same network on tensors of that size that are there already. On a
machine without a GPU the loader shares the cores with the network.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import torch

from progeo_core.image_list import list_images
from progeo_core.image_names import ImageName, format_name
from progeo_core.model.device import AUTO, choose_device
from progeo_core.place_classes import PlaceClassSettings
from progeo_core.train.clip_towers import load_towers
from progeo_core.train.journal import Journal
from progeo_core.train.processes import Processes
from progeo_core.train.settings import TrainingSettings
from progeo_core.train.stage2 import EncoderTraining, GroupTask
from progeo_core.train.training_set import read_training_set
from test.benchmarks.image_path_benchmark import PICTURE
from test.benchmarks.row import Row, compare

STEPS, TIMED, BATCH, SIDE = 12, 2, 8, 224


def rows(folder: Path) -> Iterator[Row]:
    """Yield one row."""
    settings = _settings(folder)
    where = Processes(0, 1, choose_device(AUTO))
    towers = load_towers(settings, "stage2")
    training_set = read_training_set(_link_images(folder), settings.places)
    tasks = [GroupTask(group, towers.dimension, None) for group in training_set.groups]
    training = EncoderTraining(
        towers.network, tasks, list_images(folder / "train"), settings, where
    )
    images = torch.rand(BATCH, 3, SIDE, SIDE, device=where.device)

    def bare() -> None:
        for _ in range(STEPS):
            towers.network(images).sum().backward()
        if where.device.type == "cuda":
            torch.cuda.synchronize()

    (folder / "run").mkdir()
    with Journal(folder / "run", where) as journal:
        case = f"{STEPS} steps of {BATCH} on {where.device.type}"
        yield compare(case, lambda: training.run_epoch(journal), bare, repeats=TIMED)


def _settings(folder: Path) -> TrainingSettings:
    default = TrainingSettings()
    return dataclasses.replace(
        default,
        places=PlaceClassSettings(M=5, alpha=360, N=1, L=1, groups_num=1, min_images_per_class=2),
        network=dataclasses.replace(default.network, pretrained="none"),
        stage2=dataclasses.replace(
            default.stage2,
            without_prompts=True,
            batch_size=BATCH,
            iterations_per_epoch=STEPS,
            image_size=SIDE,
        ),
        run=dataclasses.replace(default.run, num_workers=1, save_dir=str(folder)),
    )


def _link_images(folder: Path) -> Path:
    """Link the shipped images a metre apart."""
    train = folder / "train"
    train.mkdir()
    for metre, image in enumerate(sorted(PICTURE.rglob("*.jpg"))):
        (train / format_name(ImageName(float(metre), 0.0))).symlink_to(image)
    return train
