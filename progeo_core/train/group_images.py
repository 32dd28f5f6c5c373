"""Training images of one group, as the loader processes read them."""

from __future__ import annotations

import functools
import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from progeo_core.dataset.place_classes import PlaceGroup
from progeo_core.errors import DataError, ImageError
from progeo_core.images.codec import read_image
from progeo_core.train.class_sampler import ClassSampler, Draw
from progeo_core.train.pixels import to_pixels


class Sample(NamedTuple):
    """Crop [3, size, size] uint8 of one draw, None where no image of its class can be read."""

    image: Tensor | None
    label: int
    seed: int
    skipped: tuple[str, ...]


class Batch(NamedTuple):
    """Crops [n, 3, size, size] uint8, labels [n], seeds, unreadable files."""

    images: Tensor
    labels: Tensor
    seeds: list[int]
    skipped: tuple[str, ...]


class GroupImages(Dataset[Sample]):
    """Images of one group by draw; an unreadable image is replaced by the next of its class.

    crop: image [3, h, w] uint8 and its seed → crop [3, size, size] uint8. It runs in the loader, so
    that no more than the crop is sent to the device, whatever the size of the image.
    """

    def __init__(
        self, images: Sequence[Path], group: PlaceGroup, crop: Callable[[Tensor, int], Tensor]
    ) -> None:
        self._images = images
        self._group = group
        self._crop = crop

    def __getitem__(self, draw: Draw) -> Sample:
        rows = self._group.images_of(draw.label)
        skipped: list[str] = []
        for step in range(len(rows)):
            path = self._images[int(rows[(draw.choice + step) % len(rows)])]
            pixels = _read_pixels(path)
            if not isinstance(pixels, ImageError):
                crop = self._crop(pixels, draw.seed)
                return Sample(crop, draw.label, draw.seed, tuple(skipped))
            skipped.append(str(pixels))
        return Sample(None, draw.label, draw.seed, tuple(skipped))


def _read_pixels(path: Path) -> Tensor | ImageError:
    try:
        return to_pixels(read_image(path), path)
    except ImageError as error:
        return error


def load_batches(dataset: GroupImages, sampler: ClassSampler, workers: int) -> Iterator[Batch]:
    """Yield the batches that the sampler draws, read ahead by loader processes.

    Raises `DataError` for a class without a readable image, and for a loader that was killed.
    """
    loader = DataLoader(
        dataset,
        batch_sampler=sampler,
        num_workers=workers,
        collate_fn=_collate,
        pin_memory=torch.cuda.is_available(),
        worker_init_fn=functools.partial(_end_if_orphaned, os.getpid()),
    )
    batches = iter(loader)
    while True:
        try:
            batch = next(batches, None)
        except RuntimeError as error:
            if "worker" not in str(error):
                raise
            raise DataError(
                "a loader process was killed, usually because memory ran out: lower --num_workers"
                " and resume from the last checkpoint"
            ) from error
        if batch is None:
            return
        yield _checked(batch)


def _end_if_orphaned(run: int, _: int) -> None:
    """End a loader whose run was killed before torch started to watch over it."""
    if multiprocessing.get_start_method() == "forkserver":
        # Its parent is the server then, and what it shares with the run is shared with no other.
        parent = multiprocessing.parent_process()
        is_orphaned = parent is None or not parent.is_alive()
    else:
        is_orphaned = os.getppid() != run
    if is_orphaned:
        os._exit(1)


def _collate(samples: list[Sample]) -> Batch:
    crops = [sample.image for sample in samples if sample.image is not None]
    labels = torch.tensor([sample.label for sample in samples])
    skipped = tuple(text for sample in samples for text in sample.skipped)
    images = torch.stack(crops) if crops else torch.empty(0, dtype=torch.uint8)
    return Batch(images, labels, [sample.seed for sample in samples], skipped)


def _checked(batch: Batch) -> Batch:
    if len(batch.images) < len(batch.labels):
        raise DataError(
            f"a class has no readable image, for example {batch.skipped[-1]}:"
            " fix or delete its images"
        )
    return batch
