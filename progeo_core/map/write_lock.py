"""The right to write a map file: one holder at a time, gone with its process."""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path
from typing import TextIO

from progeo_core.errors import DataError


class MapLock:
    """The right to write one map until `release`, or until the process ends, even by kill -9.

    An advisory lock (flock) on an empty file beside the map: readers never look at it, the kernel
    drops it with the process, and locks that SQLite takes on the map itself are left alone.
    """

    def __init__(self, map_path: Path) -> None:
        """Take the lock; raise `DataError` naming the holder, or the folder that is read-only."""
        # The name that SQLite would use, so that symbolic links to one map share one lock.
        self._map_path, real = map_path, map_path.resolve()
        self._path = real.with_name(f"{real.name}-lock")
        self._file = self._acquired(map_path)

    def release(self) -> None:
        """Give the right back and remove the file; a second call does nothing."""
        if not self._file.closed:
            self._path.unlink(missing_ok=True)
            self._file.close()

    def require_one_name(self) -> None:
        """Raise `DataError` where the map has a second name (hard link).

        Lock and log go by the name, so two programs could write such a file at once, and SQLite
        could not put the log of one right after a crash.
        """
        with contextlib.suppress(FileNotFoundError):
            names = self._map_path.stat().st_nlink
            if names > 1:
                raise DataError(
                    f"{self._map_path}: the map has {names} names (hard links), and writing it"
                    " under one damages it under the others; copy it and write the copy"
                )

    def _acquired(self, map_path: Path) -> TextIO:
        while True:
            try:
                file = self._path.open("a+", encoding="utf-8")
            except OSError as error:
                raise DataError(
                    f"{map_path}: the map cannot be written, as {self._path} cannot be made"
                    f" ({error.strerror}); use a folder that you may write in, or open it read-only"
                ) from error
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                holder = _read_from_start(file)
                file.close()
                raise DataError(
                    f"{map_path}: process {holder or 'unknown'} is writing this map; stop it or"
                    " wait until it has finished"
                ) from error
            if self._is_current(file):
                # On a full disk the lock holds all the same, only nobody can say whose it is.
                with contextlib.suppress(OSError):
                    os.truncate(file.fileno(), 0)
                    os.write(file.fileno(), str(os.getpid()).encode())
                return file
            file.close()

    def _is_current(self, file: TextIO) -> bool:
        """Whether the name still means this file; its last holder may just have removed it."""
        try:
            return os.path.samestat(os.fstat(file.fileno()), self._path.stat())
        except FileNotFoundError:
            return False


def _read_from_start(file: TextIO) -> str:
    file.seek(0)
    return file.read()
