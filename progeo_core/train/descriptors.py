"""Descriptors or features of many image files, into one array that may be larger than memory."""

from __future__ import annotations

import contextlib
import io
import math
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from progeo_core.descriptors.files_key import files_key
from progeo_core.errors import DataError, ImageError
from progeo_core.images.codec import load_images
from progeo_core.progress import Advance, no_progress
from progeo_core.train.file_lock import lock_file
from progeo_core.train.pixels import to_pixels
from progeo_core.train.processes import Processes

# Ends the name of a file whose rows are not all there yet.
_PARTIAL = ".partial"

FloatArray = NDArray[np.float32]
Transform = Callable[[Tensor], Tensor]


class Describer(NamedTuple):
    """Computation of one row of numbers per image.

    prepare: image [3, h, w] uint8 → image of the size to describe.
    encode: images [n, 3, h, w] uint8 of one size → rows [n, dimension].
    dimension: length of a row.
    identity: text that differs whenever the rows do: model, weights, preparation.
    batch_size: images described at once.
    """

    prepare: Transform
    encode: Transform
    dimension: int
    identity: str
    batch_size: int


class Described(NamedTuple):
    """Rows [n, dimension], NaN where an image cannot be read, and the reason for each."""

    rows: FloatArray
    skipped: tuple[str, ...]


def describe_images(
    describer: Describer,
    images: Sequence[Path],
    advance: Advance = no_progress,
    out: FloatArray | None = None,
) -> Described:
    """Describe every image; batches hold images of one size, whatever their order.

    `out` [n, dimension] takes the rows; without it they are kept in memory. `advance` is told how
    many images were done.
    """
    rows = np.empty((len(images), describer.dimension), np.float32) if out is None else out
    skipped: list[str] = []
    for indices, batch in _batches(describer, images, skipped):
        if batch is None:
            rows[indices] = np.nan
        else:
            with torch.inference_mode():
                rows[indices] = describer.encode(batch).float().cpu().numpy()
        advance(len(indices))
    return Described(rows, tuple(skipped))


def cached_descriptors(
    describer: Describer,
    images: Sequence[Path],
    folder: Path,
    processes: Processes,
    advance: Advance = no_progress,
) -> Described:
    """Return the rows of `describe_images` memory-mapped from a file that is made only once.

    The file is named after the model and the images: their names, sizes and times of change. Every
    process describes its share, all into one file, so `folder` must be the same place for all of
    them. Images that could not be read are named in every process and every time.
    """
    path = folder / f"{processes.from_main(lambda: files_key(describer.identity, images))}.npy"
    skipped: tuple[str, ...] = ()
    shape = (len(images), describer.dimension)
    if not processes.from_main(lambda: _is_whole(path, shape)):
        skipped = _write_rows(path, describer, images, processes, advance)
    rows = np.load(path, mmap_mode="r")
    return Described(rows, _all_skipped(rows, images, skipped))


def _is_whole(path: Path, shape: tuple[int, int]) -> bool:
    """Whether a file has the header and the size of float32 rows of that shape."""
    header = io.BytesIO()
    descr = {"descr": "<f4", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(header, descr)
    expected = header.getvalue()
    try:
        with path.open("rb") as file:
            start, size = file.read(len(expected)), file.seek(0, os.SEEK_END)
    except OSError:
        return False
    return start == expected and size == len(expected) + 4 * math.prod(shape)


def _write_rows(
    path: Path, describer: Describer, images: Sequence[Path], processes: Processes, advance: Advance
) -> tuple[str, ...]:
    """Describe this process's share of the images; return why some of them cannot be used."""
    partial = path.with_suffix(_PARTIAL)
    shape = (len(images), describer.dimension)
    with contextlib.ExitStack() as held:
        processes.from_main(lambda: _create(partial, shape, held))
        rows = np.load(partial, mmap_mode="r+")
        own = range(processes.rank, len(images), processes.world)
        share = rows[own.start :: own.step]
        skipped = describe_images(describer, [images[row] for row in own], advance, share).skipped
        rows.flush()
        processes.wait()
        processes.from_main(lambda: partial.replace(path))
    return skipped


def _all_skipped(
    rows: FloatArray, images: Sequence[Path], described: tuple[str, ...]
) -> tuple[str, ...]:
    """Name every image whose row is NaN, with the reason where this process has just seen it."""
    reasons = {text.partition(": ")[0]: text for text in described}
    names = (str(images[int(row)]) for row in np.flatnonzero(np.isnan(rows[:, 0])))
    return tuple(reasons.get(name, f"{name}: could not be used") for name in names)


def _batches(
    describer: Describer, images: Sequence[Path], skipped: list[str]
) -> Iterator[tuple[list[int], Tensor | None]]:
    """Yield row numbers and images [n, 3, h, w] of one size; None for one that cannot be read."""
    waiting: dict[tuple[int, ...], list[tuple[int, Tensor]]] = {}
    for index, image in enumerate(load_images(images)):
        pixels = image if isinstance(image, ImageError) else to_pixels(image, images[index])
        if isinstance(pixels, ImageError):
            skipped.append(str(pixels))
            yield [index], None
            continue
        prepared = describer.prepare(pixels)
        same_size = waiting.setdefault(tuple(prepared.shape), [])
        same_size.append((index, prepared))
        if len(same_size) == describer.batch_size:
            yield _stack(waiting.pop(tuple(prepared.shape)))
        elif sum(map(len, waiting.values())) > 4 * describer.batch_size:
            # Many sizes: send off the fullest batch, so that memory stays flat.
            yield _stack(waiting.pop(max(waiting, key=lambda size: len(waiting[size]))))
    yield from map(_stack, waiting.values())


def _stack(batch: list[tuple[int, Tensor]]) -> tuple[list[int], Tensor]:
    indices, images = zip(*batch, strict=True)
    return list(indices), torch.stack(images)


def _create(path: Path, shape: tuple[int, int], held: contextlib.ExitStack) -> None:
    """Create the file of all rows, locked for as long as `held` lasts."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_partial(path.parent)
        file = held.enter_context(path.open("wb"))
        lock_file(file.fileno())
        np.lib.format.open_memmap(path, "w+", np.float32, shape).flush()
        # Taken now: a mapped file whose disk fills up later would end the process by a signal.
        os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    except OSError as error:
        size = shape[0] * shape[1] * 4 / 1e9
        raise DataError(
            f"{path}: cannot be written ({error.strerror}); {size:.1f} GB are needed there"
        ) from error


def _remove_partial(folder: Path) -> None:
    """Remove the files of killed runs; a run that is alive holds the lock of its own."""
    for leftover in folder.glob(f"*{_PARTIAL}"):
        with contextlib.suppress(OSError), leftover.open("rb") as file:
            if lock_file(file.fileno()):
                leftover.unlink()
