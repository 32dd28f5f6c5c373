"""The images under a folder, held so compactly that millions of names fit in memory."""

from __future__ import annotations

import os
from array import array
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import overload

import numpy as np
from numpy.typing import NDArray

from progeo_core.errors import DataError

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")


class ImageList(Sequence[Path]):
    """Image paths in one block of bytes: about the length of each name, plus 8 bytes.

    A list of five million `Path` objects takes several gigabytes, and its reference counts make
    every forked loader process copy it page by page; this takes less than one and is never copied.
    """

    def __init__(self, folder: Path, names: Iterable[str]) -> None:
        """Store `names` relative to `folder` (or absolute), in the order given."""
        text, ends = bytearray(), array("q", [0])
        for name in names:
            text += os.fsencode(name)
            ends.append(len(text))
        self.folder = folder
        self._text = text
        self._ends: NDArray[np.int64] = np.frombuffer(ends, np.int64)

    def __len__(self) -> int:
        return len(self._ends) - 1

    @overload
    def __getitem__(self, index: int) -> Path: ...
    @overload
    def __getitem__(self, index: slice) -> list[Path]: ...
    def __getitem__(self, index: int | slice) -> Path | list[Path]:
        if isinstance(index, slice):
            return [self[row] for row in range(*index.indices(len(self)))]
        return self.folder / self.name(index)

    def name(self, index: int) -> str:
        """Return one name as it was given."""
        row = range(len(self))[index]
        return os.fsdecode(bytes(self._text[self._ends[row] : self._ends[row + 1]]))

    def names(self) -> Iterator[str]:
        """Yield the names as they were given, in order."""
        start = 0
        for end in self._ends[1:].tolist():
            yield os.fsdecode(bytes(self._text[start:end]))
            start = end


def list_images(folder: Path) -> ImageList:
    """List the images under `folder`, in an order that is the same on every machine.

    If `FOLDER_images_paths.txt` stands beside the folder, its lines (relative to the folder) are
    taken instead, in their order, which saves walking millions of files. Raises `DataError` for a
    missing folder, a folder without images, and a list whose first image does not exist.
    """
    listing = folder.with_name(f"{folder.name}_images_paths.txt")
    images = ImageList(folder, _listed(listing) if listing.is_file() else _walk(folder))
    if not images:
        raise DataError(f"{folder}: no images ({', '.join(IMAGE_SUFFIXES)}) in this folder")
    if listing.is_file() and not images[0].is_file():
        raise DataError(
            f"{listing}, line 1: {images[0]} does not exist; write the list again or delete it"
        )
    return images


def _listed(listing: Path) -> Iterator[str]:
    with listing.open(encoding="utf-8", errors="surrogateescape") as lines:
        for line in lines:
            name = line.strip()
            if name:
                yield name


def _walk(folder: Path) -> Iterator[str]:
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder")
    for place, folders, files in os.walk(folder):
        # Sorting in place also steers the walk; hidden ones are other programs' leftovers.
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        relative = os.path.relpath(place, folder)
        prefix = "" if relative == os.curdir else f"{relative}{os.sep}"
        for name in sorted(files):
            if name.lower().endswith(IMAGE_SUFFIXES) and not name.startswith("."):
                yield prefix + name
