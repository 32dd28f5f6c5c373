from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from progeo_core.descriptors.encoder import Described, Skipped, describe
from progeo_core.descriptors.fingerprint import ModelFingerprint
from progeo_core.errors import ImageError
from progeo_core.images.codec import Image


class MeanColour:
    """Describe an image by its mean colour, and remember the batches."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    @property
    def fingerprint(self) -> ModelFingerprint:
        return ModelFingerprint("mean colour", 3, "none", "0" * 64)

    def encode(self, images: Sequence[Image]) -> NDArray[np.float32]:
        self.batches.append(len(images))
        return np.array([image.mean(axis=(0, 1)) for image in images], np.float32)


def grey(value: int) -> Image:
    return np.full((2, 3, 3), value, np.uint8)


def test_answers_every_image_in_order() -> None:
    encoder = MeanColour()
    answers = list(describe(encoder, (grey(value) for value in range(5)), range(5), batch_size=2))

    assert encoder.batches == [2, 2, 1]
    for index, answer in enumerate(answers):
        assert isinstance(answer, Described)
        assert answer.index == index
        assert answer.descriptor.tolist() == [index] * 3
        assert (answer.image == index).all()


def test_skips_what_could_not_be_read() -> None:
    error = ImageError("b.jpg: empty")
    images: list[Any] = [grey(1), error, grey(3), error, error]

    answers = list(describe(MeanColour(), images, range(5), batch_size=3))

    assert [type(answer) for answer in answers] == [Described, Skipped, Described, Skipped, Skipped]
    assert [answer.index for answer in answers] == list(range(5))
    assert isinstance(answers[1], Skipped)
    assert answers[1].error is error
    assert isinstance(answers[2], Described)
    assert answers[2].descriptor.tolist() == [3, 3, 3]


def test_skips_by_name_what_the_model_fails_on() -> None:
    class Failing(MeanColour):
        def encode(self, images: Sequence[Image]) -> NDArray[np.float32]:
            rows = super().encode(images)
            return np.where(rows == 3.0, np.nan, rows)

    names = [f"{value}.jpg" for value in range(5)]
    answers = list(describe(Failing(), (grey(value) for value in range(5)), names, batch_size=2))

    assert [answer.index for answer in answers] == list(range(5))
    (skipped,) = [answer for answer in answers if isinstance(answer, Skipped)]
    assert str(skipped.error) == (
        "3.jpg: the model fails on this image: its descriptor is not finite"
    )
    assert isinstance(answers[4], Described)
    assert answers[4].descriptor.tolist() == [4, 4, 4]


@pytest.mark.parametrize("images", [[], [ImageError("a.jpg: empty")]])
def test_does_not_trouble_the_encoder_without_images(images: list[Image | ImageError]) -> None:
    encoder = MeanColour()
    assert len(list(describe(encoder, images, range(1)))) == len(images)
    assert encoder.batches == []


def test_reads_no_further_than_the_batch() -> None:
    taken: list[int] = []

    def images() -> Iterator[Image]:
        for value in range(100):
            taken.append(value)
            yield grey(value)

    next(describe(MeanColour(), images(), range(100), batch_size=4))
    assert len(taken) == 4
