"""Which classes and images each step draws: a function of the seed alone, so resuming is exact."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from torch.utils.data import Sampler

from progeo_core.errors import DataError


class Draw(NamedTuple):
    """Training image of one draw.

    label: class within the group.
    choice: a large random number that selects the image among those of the class.
    seed: of this image's augmentation.
    """

    label: int
    choice: int
    seed: int


class ClassSampler(Sampler[list[Draw]]):
    """Batches of distinct classes with one random image each.

    Classes come in shuffled rounds; the rest of a round that does not fill a batch is dropped.
    Every process draws the whole batch and keeps its `part`, so that the number of processes
    changes nothing. Equal `entropy` (seed, epoch) gives equal draws.
    """

    def __init__(
        self, classes: int, batch_size: int, iterations: int, entropy: tuple[int, ...], part: slice
    ) -> None:
        if classes < batch_size:
            raise DataError(
                f"a group has {classes} classes, too few for batches of {batch_size} distinct ones:"
                " lower --batch_size, --min_images_per_class, --N or --L, or add images"
            )
        self.classes = classes
        self.batch_size = batch_size
        self.iterations = iterations
        self.entropy = entropy
        self.part = part

    def __len__(self) -> int:
        return self.iterations

    def __iter__(self) -> Iterator[list[Draw]]:
        random = np.random.default_rng(self.entropy)
        order = np.empty(0, np.int64)
        for _ in range(self.iterations):
            if len(order) < self.batch_size:
                order = random.permutation(self.classes)
            labels, order = order[: self.batch_size], order[self.batch_size :]
            numbers = random.integers(2**31, size=(self.batch_size, 2))
            draws = zip(labels.tolist(), *numbers.T.tolist(), strict=True)
            yield [Draw(*draw) for draw in draws][self.part]
