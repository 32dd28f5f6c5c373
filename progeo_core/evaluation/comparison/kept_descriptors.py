"""Descriptors of image files, kept on this machine: a model describes equal files only once."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from progeo_core.atomic_file import replaced_file
from progeo_core.descriptors.encoder import Described, Encoder, describe, runtime_of
from progeo_core.images.codec import load_images
from progeo_core.inference.runtime_memory import cache_folder
from progeo_core.progress import Advance, no_progress

_log = logging.getLogger(__name__)

Rows = NDArray[np.float32]


def describe_once(encoder: Encoder, images: Sequence[Path], advance: Advance = no_progress) -> Rows:
    """Return the descriptors [n, D] of image files, NaN where one cannot be used.

    They are read from `$XDG_CACHE_HOME/progeo/descriptors` where this model has described files of
    the same content there, and written there otherwise. `advance` counts images.
    """
    path = cache_folder() / "descriptors" / f"{_key(encoder, images)}.npy"
    rows = _read(path, (len(images), encoder.fingerprint.dimension))
    if rows is not None:
        advance(len(images))
        return rows
    rows = np.full((len(images), encoder.fingerprint.dimension), np.nan, np.float32)
    loaded = load_images(images, encoder.fingerprint.image_side)
    for outcome in describe(encoder, loaded, images):
        if isinstance(outcome, Described):
            rows[outcome.index] = outcome.descriptor
        advance(1)
    _write(path, rows)
    return rows


def _key(encoder: Encoder, images: Sequence[Path]) -> str:
    model = encoder.fingerprint
    identity = f"{model} {model.weights_sha256} {model.normalized} {runtime_of(encoder)}"
    digest = hashlib.sha256(identity.encode())
    for image in images:
        try:
            content = image.read_bytes()
        except OSError:
            content = b""
        digest.update(hashlib.sha256(content).digest())
    return digest.hexdigest()[:32]


def _read(path: Path, shape: tuple[int, int]) -> Rows | None:
    """Return what an earlier run wrote; None without it, or where it is damaged."""
    try:
        rows = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return rows if (rows.dtype, rows.shape) == (np.dtype(np.float32), shape) else None


def _write(path: Path, rows: Rows) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replaced_file(path) as unfinished, unfinished.open("wb") as file:
            np.save(file, rows)
    except OSError as error:
        _log.info("%s: images are described again next time (%s)", path, error.strerror)
