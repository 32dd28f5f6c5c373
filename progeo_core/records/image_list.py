"""The images under a folder, held so compactly that millions of names fit in memory."""

from __future__ import annotations

import collections
import logging
import os
from array import array
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import overload

import numpy as np
from numpy.typing import NDArray

from progeo_core.errors import DataError

_log = logging.getLogger(__name__)

IMAGE_SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".tif", ".tiff", ".webp", ".avif"),
)
_HEIC_SUFFIXES = (".heic", ".heif", ".hif")
# Pictures of cameras and phones that are not read here: raw photos, animations, rare formats.
_OTHER_SUFFIXES = (
    *(".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".raf", ".pef", ".srw", ".raw"),
    *(".gif", ".jp2", ".j2k", ".jxl", ".exr", ".hdr", ".psd", ".ppm", ".pgm", ".insp"),
)


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

    Linked folders are read, too, each folder once. If `FOLDER_images_paths.txt` stands beside the
    folder, its lines (relative to the folder) are taken instead, in their order, which saves
    walking millions of files. Pictures that are not read, as raw photos, are counted in a warning;
    HEIC is read where pillow-heif is installed. Raises `DataError` for a missing folder, a folder
    without images, and a list whose first image does not exist.
    """
    listing = folder.with_name(f"{folder.name}_images_paths.txt")
    unread: collections.Counter[str] = collections.Counter()
    images = ImageList(folder, _listed(listing) if listing.is_file() else _walk(folder, unread))
    if unread:
        _log.warning("%s: %s", folder, _said(unread))
    if not images:
        raise DataError(f"{folder}: no images ({', '.join(IMAGE_SUFFIXES)}) in this folder")
    if listing.is_file() and not os.path.isfile(images[0]):  # a name may be too long to ask
        raise DataError(
            f"{listing}, line 1: {images[0]} does not exist; write the list again or delete it"
        )
    return images


def _said(unread: collections.Counter[str]) -> str:
    """Return which pictures are not read, counted by suffix, and what to do about it."""
    counts = ", ".join(f"{count} {suffix}" for suffix, count in sorted(unread.items()))
    fix = "convert them to JPEG or PNG"
    if not set(_HEIC_SUFFIXES).isdisjoint(unread):
        fix += ", or install pillow-heif for HEIC"
    return f"pictures are not read ({counts}): {fix}"


def _listed(listing: Path) -> Iterator[str]:
    with listing.open(encoding="utf-8", errors="surrogateescape") as lines:
        for line in lines:
            name = line.strip()
            if name:
                yield name


def _walk(folder: Path, unread: collections.Counter[str]) -> Iterator[str]:
    """Yield the images below a folder; count pictures of other kinds by their suffix."""
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder")
    from progeo_core.images.pillow_decoder import reads_heic

    read = (*IMAGE_SUFFIXES, *(_HEIC_SUFFIXES if reads_heic() else ()))
    other = {*_HEIC_SUFFIXES, *_OTHER_SUFFIXES}.difference(read)
    seen: set[tuple[int, int]] = set()
    for place, folders, files in os.walk(folder, followlinks=True):
        if not _is_first_visit(place, seen):
            folders.clear()
            continue
        # Sorting in place also steers the walk; hidden ones are other programs' leftovers.
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        relative = os.path.relpath(place, folder)
        prefix = "" if relative == os.curdir else f"{relative}{os.sep}"
        for name in sorted(set(files) - _never_ending(place)):
            suffix = os.path.splitext(name)[1].lower()
            if suffix in read and not name.startswith("."):
                yield prefix + name
            elif suffix in other and not name.startswith("."):
                unread[suffix] += 1


def _never_ending(place: str) -> set[str]:
    """Return the names in a folder that are no files: who reads a pipe waits for its writer.

    Links are what they lead to; one that leads nowhere is told as a file that is missing.
    """
    with os.scandir(place) as entries:
        return {
            entry.name
            for entry in entries
            if not (entry.is_file() or entry.is_dir()) and os.path.exists(entry.path)
        }


def _is_first_visit(place: str, seen: set[tuple[int, int]]) -> bool:
    """Whether a folder was not seen under another name: links may lead back to it."""
    status = os.stat(place)
    key = status.st_dev, status.st_ino
    first = key not in seen
    seen.add(key)
    return first
