"""The weights of XFeat that ship, and what is known of its network without torch."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

WEIGHTS = Path(__file__).with_name("xfeat.safetensors")
# Sides of images that the network takes are multiples of this (pixels).
MULTIPLE = 32


@functools.cache
def weights_hash() -> str:
    """Return the first eight digits of the SHA-256 of the weights."""
    return hashlib.sha256(WEIGHTS.read_bytes()).hexdigest()[:8]
