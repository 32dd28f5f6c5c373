"""What turns images into descriptors, as the rest of the core sees it; needs no torch."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from progeo_core.descriptors.fingerprint import ModelFingerprint
from progeo_core.errors import ImageError
from progeo_core.images.codec import Image


class Encoder(Protocol):
    """Network that describes images; only descriptors of equal fingerprint can be compared."""

    @property
    def fingerprint(self) -> ModelFingerprint:
        """Identify the model; `fingerprint.dimension` is the descriptor length D."""

    def encode(self, images: Sequence[Image]) -> NDArray[np.float32]:
        """Describe RGB uint8 images [h, w, 3] of any sizes as float32 [n, D], in order."""


def runtime_of(encoder: Encoder) -> str:
    """Return what an encoder says of the program that runs it, "" where it says nothing."""
    return str(getattr(encoder, "runs_in", ""))


@dataclasses.dataclass(frozen=True)
class Described:
    """Image, its place in the input and its descriptor [D]."""

    index: int
    image: Image
    descriptor: NDArray[np.float32]


@dataclasses.dataclass(frozen=True)
class Skipped:
    """Reason why the image at this place of the input has no descriptor."""

    index: int
    error: ImageError


def require_finite(descriptor: NDArray[np.float32]) -> None:
    """Raise `ImageError` for an image whose descriptor [D] is not finite."""
    if not np.isfinite(descriptor).all():
        raise ImageError("the model fails on this image: its descriptor is not finite")


def describe(
    encoder: Encoder,
    images: Iterable[Image | ImageError],
    names: Sequence[object],
    batch_size: int = 16,
) -> Iterator[Described | Skipped]:
    """Yield one answer per image, in order; at most `batch_size` images are held at a time.

    Images that could not be read (`ImageError` in their place), and those whose descriptor is not
    finite, come back as `Skipped`. names: of all images, for the latter.
    """
    batch: list[tuple[int, Image | ImageError]] = []
    for numbered in enumerate(images):
        batch.append(numbered)
        if len(batch) == batch_size:
            yield from _describe_batch(encoder, batch, names)
            batch.clear()
    yield from _describe_batch(encoder, batch, names)


def _describe_batch(
    encoder: Encoder, batch: Sequence[tuple[int, Image | ImageError]], names: Sequence[object]
) -> Iterator[Described | Skipped]:
    readable = [image for _, image in batch if not isinstance(image, ImageError)]
    descriptors: Iterator[NDArray[np.float32]]
    descriptors = iter(encoder.encode(readable) if readable else ())
    for index, image in batch:
        if isinstance(image, ImageError):
            yield Skipped(index, image)
            continue
        descriptor = next(descriptors)
        try:
            require_finite(descriptor)
        except ImageError as error:
            yield Skipped(index, ImageError(f"{names[index]}: {error}"))
        else:
            yield Described(index, image, descriptor)
