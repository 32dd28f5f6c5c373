"""Pictures of a drive on disk, for as long as its process lives, as memory would not hold them."""

from __future__ import annotations

import array
import logging
import os
import tempfile
import weakref

_log = logging.getLogger(__name__)


class KeyframeImages:
    """Keep a picture for some of the numbers 0, 1, 2, …, at 8 bytes of memory for each number.

    They are in a file without a name, in the folder for temporary files (`TMPDIR`). Where the disk
    takes no more, later pictures are missing until it does again.
    """

    def __init__(self) -> None:
        """Make the file when the first picture comes."""
        self._descriptor: int | None = None
        # Where the picture of each number ends, which is where the next one begins.
        self._ends = array.array("Q")
        self._is_full = False

    def add(self, number: int, picture: bytes) -> None:
        """Keep the picture of a number that is larger than those before it."""
        begin = self._ends[-1] if self._ends else 0
        self._ends.extend([begin] * (number - len(self._ends)))
        self._ends.append(begin + (len(picture) if self._write(picture, begin) else 0))

    def get(self, number: int) -> bytes | None:
        """Return the picture of a number, None where there is none."""
        if self._descriptor is None or number >= len(self._ends):
            return None
        begin, end = self._ends[number - 1] if number else 0, self._ends[number]
        try:
            picture = os.pread(self._descriptor, end - begin, begin)
        except OSError as error:
            _log.warning("a picture of the drive cannot be read: %s", error)
            return None
        return picture if picture and len(picture) == end - begin else None

    def _write(self, picture: bytes, begin: int) -> bool:
        """Write a picture behind the others; say whether all of it is there."""
        try:
            if self._descriptor is None:
                self._descriptor = self._open()
            written = os.pwrite(self._descriptor, picture, begin) == len(picture)
            reason = "the disk is full"
        except OSError as error:
            written, reason = False, str(error)
        if not (written or self._is_full):
            _log.warning("pictures of the drive are not kept: %s", reason)
        self._is_full = not written
        return written

    def _open(self) -> int:
        """Return the descriptor of a new file, which is closed when this object goes."""
        file = tempfile.TemporaryFile()  # noqa: SIM115 - it stays open
        weakref.finalize(self, file.close)
        return file.fileno()
