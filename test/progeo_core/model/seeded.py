"""Weights and inputs as functions of their name, as the golden values were made with."""

from __future__ import annotations

import functools
import math
import zlib
from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

# All four backbones have these in common, and drawing them takes longer than using them.
_SHARED = ("token_embedding.", "text_encoder.")


def generator(name: str) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(f"0/{name}".encode()))


def images(name: str, *shape: int) -> Tensor:
    """Draw a batch of normalised images by name."""
    return torch.from_numpy(generator(name).standard_normal(shape).astype(np.float32))


def weight(key: str, shape: tuple[int, ...]) -> Tensor:
    """Draw the weight of a checkpoint key; the first rule that fits its name wins."""
    if key.endswith("num_batches_tracked"):
        return torch.zeros(shape, dtype=torch.int64)
    if key.endswith("aggregation.1.p"):
        return torch.full(shape, 3.0)
    return torch.from_numpy(_drawn(key, shape).astype(np.float32))


def state_like(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Draw a whole state_dict with the names and shapes of another."""
    return {
        key: (_shared if key.startswith(_SHARED) else weight)(key, tuple(tensor.shape))
        for key, tensor in state.items()
    }


@functools.cache
def _shared(key: str, shape: tuple[int, ...]) -> Tensor:
    return weight(key, shape)


def _drawn(key: str, shape: tuple[int, ...]) -> NDArray[np.float64]:
    draw = generator(key)
    if key.endswith("running_var"):
        return draw.uniform(0.5, 1.5, shape)
    small = ("running_mean", "bias", "positional_embedding", "token_embedding.weight")
    if key.endswith((*small, "class_embedding", "cls_ctx")):
        return draw.standard_normal(shape) * 0.02
    if len(shape) == 1:
        return draw.uniform(0.5, 1.5, shape)
    inputs = shape[0] if key.endswith(("proj", "text_projection")) else math.prod(shape[1:])
    return draw.standard_normal(shape) / math.sqrt(inputs)
