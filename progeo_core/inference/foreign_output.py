"""Descriptors among what the networks of others return."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from progeo_core.errors import DataError
from progeo_core.images.codec import Image

# Names under which networks return their descriptor beside other values.
_NAMES = ("global_descriptor", "global_desc", "descriptor", "descriptors", "embedding")
_MAX_VALUES = 16_384
# Of unit length, as computed in half precision.
_MAX_LENGTH_ERROR = 0.01
# Cosine of one image's descriptors in two passes: the order of sums on a GPU changes far less.
_MIN_REPEATED = 0.999

_log = logging.getLogger(__name__)


def descriptor_of(name: str, output: Any) -> Any:
    """Return the descriptors [n, D] in what a network returned: an array, or one among others.

    Arrays are torch's tensors, and NumPy's.

    Of several, that with a usual name, else the first of a tuple. Raises `DataError` that says the
    model's name where there is none.
    """
    found = output
    if isinstance(output, Mapping):
        found = next((output[key] for key in _NAMES if key in output), None)
        if found is None:
            raise DataError(
                f"{name}: returns a dictionary of {', '.join(map(str, output)) or 'nothing'}; a"
                f" descriptor needs one of the names {', '.join(_NAMES)}"
            )
    elif isinstance(output, tuple) and output:
        found = output[0]
    if not hasattr(found, "ndim"):
        raise DataError(
            f"{name}: returns a {type(found).__name__}, not a tensor of descriptors [n, D]"
        )
    if found.ndim != 2 or not 1 < found.shape[1] <= _MAX_VALUES:
        raise DataError(
            f"{name}: returns the shape {list(found.shape)}; descriptors [n, D] are needed, D from"
            f" 2 to {_MAX_VALUES}"
        )
    return found


def check_descriptors(name: str, descriptors: NDArray[np.float32]) -> None:
    """Raise `DataError` for descriptors [n, D] that are not finite or are 0.

    Says so where they are not of unit length: encoders scale them.
    """
    lengths = np.linalg.norm(descriptors, axis=1)
    if not np.isfinite(lengths).all() or not lengths.all():
        raise DataError(f"{name}: its descriptors are not finite, or 0; use another model")
    if np.abs(lengths - 1.0).max() > _MAX_LENGTH_ERROR:
        _log.warning(
            "%s: its descriptors have the length %.3g and are normalised", name, lengths[0]
        )


def check_repeated(name: str, first: NDArray[np.float32], second: NDArray[np.float32]) -> None:
    """Raise `DataError` where the descriptors [1, D] of one image differ from time to time."""
    lengths = np.linalg.norm(first) * np.linalg.norm(second)
    if not first.ravel() @ second.ravel() > _MIN_REPEATED * lengths:
        raise DataError(
            f"{name}: describes one image each time otherwise, by chance: look for dropout or"
            " random weights in it"
        )


def describe_each(
    name: str,
    images: Sequence[Image],
    dimension: int,
    describe: Callable[[Image], NDArray[np.float32]],
) -> NDArray[np.float32]:
    """Return the descriptors [n, D] of images, one by one, scaled to unit length.

    describe: returns that of one image as [1, D]. One that is not finite or 0 becomes NaN. Raises
    `DataError` that says the model's name where it is of another shape.
    """
    descriptors = np.empty((len(images), dimension), np.float32)
    for row, image in enumerate(images):
        found = describe(image)
        if found.shape != (1, dimension):
            raise DataError(
                f"{name}: returns the shape {list(found.shape)} for an image of"
                f" {image.shape[1]}x{image.shape[0]} pixels, and [1, {dimension}] for others;"
                " use another model"
            )
        length = np.linalg.norm(found)
        descriptors[row] = found[0] / length if length and np.isfinite(length) else np.nan
    return descriptors
