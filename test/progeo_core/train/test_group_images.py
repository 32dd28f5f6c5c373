import multiprocessing
import os
import signal
from pathlib import Path

import pytest
import torch
from torch.utils.data import get_worker_info

from progeo_core.dataset.place_classes import PlaceClassSettings
from progeo_core.errors import DataError
from progeo_core.images.codec import Image, read_image
from progeo_core.train import group_images
from progeo_core.train.augmentation import Augmentation
from progeo_core.train.class_sampler import ClassSampler
from progeo_core.train.group_images import Batch, GroupImages, load_batches
from progeo_core.train.settings import Stage2Settings
from progeo_core.train.training_set import read_training_set


def load(dataset: Path, workers: int) -> list[Batch]:
    training_set = read_training_set(dataset / "train", PlaceClassSettings(N=2, L=1, groups_num=2))
    group = training_set.groups[0]
    crop = Augmentation(Stage2Settings(image_size=60), torch.device("cpu")).crop
    images = GroupImages(training_set.images, group, crop)
    sampler = ClassSampler(len(group), 4, 3, (0, 0), slice(None))
    return list(load_batches(images, sampler, workers))


def test_loader_processes_change_nothing(dataset: Path) -> None:
    alone, helped = load(dataset, 0), load(dataset, 2)
    assert len(alone) == len(helped) == 3
    for one, other in zip(alone, helped, strict=True):
        assert torch.equal(one.labels, other.labels)
        assert one.seeds == other.seeds
        assert torch.equal(one.images, other.images)
        assert one.images.shape == (4, 3, 60, 60)


@pytest.mark.slow
def test_loaders_that_a_server_forks_read_the_same(dataset: Path) -> None:
    plain = load(dataset, 0)
    usual = multiprocessing.get_start_method()
    multiprocessing.set_start_method("forkserver", force=True)
    try:
        served = load(dataset, 1)
    finally:
        multiprocessing.set_start_method(usual, force=True)
    assert len(served) == len(plain)
    assert all(torch.equal(one.images, two.images) for one, two in zip(served, plain, strict=True))


def test_a_killed_loader_ends_the_run_with_advice(
    dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_or_die(path: Path) -> Image:
        if get_worker_info() is not None:
            os.kill(os.getpid(), signal.SIGKILL)
        return read_image(path)

    monkeypatch.setattr(group_images, "read_image", read_or_die)
    with pytest.raises(DataError, match=r"a loader process was killed.* lower --num_workers"):
        load(dataset, 1)
