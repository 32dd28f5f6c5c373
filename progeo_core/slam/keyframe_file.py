"""What a session keeps of its keyframes on disk while it lives: memory is too small."""

from __future__ import annotations

import array
import logging
import os
import tempfile
import weakref

_log = logging.getLogger(__name__)


class KeyframeFile:
    """Bytes for some of the keyframes 0, 1, 2, …, at 8 bytes of memory per keyframe.

    They are in an unnamed file in the folder for temporary files (`TMPDIR`). While the disk is
    full, nothing new is kept.
    """

    def __init__(self) -> None:
        """Create no file before the first bytes are added."""
        self._descriptor: int | None = None
        # Where the bytes of each keyframe end, which is where the next one begins.
        self._ends = array.array("Q")
        self._is_full = False

    def add(self, number: int, data: bytes) -> None:
        """Store the bytes of a keyframe whose number is larger than all before."""
        begin = self._ends[-1] if self._ends else 0
        self._ends.extend([begin] * (number - len(self._ends)))
        self._ends.append(begin + (len(data) if self._write(data, begin) else 0))

    def get(self, number: int) -> bytes | None:
        """Return the bytes of a keyframe, None where there is none."""
        if self._descriptor is None or number >= len(self._ends):
            return None
        begin, end = self._ends[number - 1] if number else 0, self._ends[number]
        try:
            data = os.pread(self._descriptor, end - begin, begin)
        except OSError as error:
            _log.warning("features of keyframe %d cannot be read: %s", number, error)
            return None
        return data if data and len(data) == end - begin else None

    def _write(self, data: bytes, begin: int) -> bool:
        """Write bytes behind the others; return whether all of it was written."""
        try:
            if self._descriptor is None:
                self._descriptor = self._open()
            written = os.pwrite(self._descriptor, data, begin) == len(data)
            reason = "the disk is full"
        except OSError as error:
            written, reason = False, str(error)
        if not (written or self._is_full):
            _log.warning("features of keyframes are not kept: %s", reason)
        self._is_full = not written
        return written

    def _open(self) -> int:
        """Return the descriptor of a new file, which is closed with this object."""
        file = tempfile.TemporaryFile()  # noqa: SIM115 - it stays open
        weakref.finalize(self, file.close)
        return file.fileno()
