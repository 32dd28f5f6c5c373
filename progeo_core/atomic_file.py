"""Files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
from collections.abc import Iterator
from pathlib import Path

# Name of an unfinished file: the name that it is to take, and the process that writes it.
_UNFINISHED = re.compile(r"(.+)-\d+-new")


@contextlib.contextmanager
def replaced_file(path: Path) -> Iterator[Path]:
    """Give a new file's path to write to; when the block ends well, it takes the place of `path`.

    The content reaches the disk before the name does, so neither a kill nor a power cut leaves half
    a file under `path`. Where the block raises, `path` stays as it was. What a kill left of an
    earlier try is removed first. A device, a pipe or a stream of the process, such as /dev/null, is
    not replaced: the block writes to it.
    """
    if _is_stream(path):
        yield path
        return
    remove_unfinished(path)
    unfinished = path.with_name(f"{path.name}-{os.getpid()}-new")
    with unfinished.open("wb") as held:
        # Says that its writer lives. Some network folders have no locks; nothing is removed there.
        with contextlib.suppress(OSError):
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        try:
            yield unfinished
            with unfinished.open("rb") as file:
                os.fsync(file.fileno())
            os.replace(unfinished, path)
        finally:
            unfinished.unlink(missing_ok=True)


def _is_stream(path: Path) -> bool:
    own = path.is_symlink() and os.readlink(path).startswith("/proc/self/fd/")
    return own or (path.exists() and not path.is_file() and not path.is_dir())


def unfinished_name(path: Path) -> str | None:
    """Return the name that an unfinished file was to take, None for any other file."""
    found = _UNFINISHED.fullmatch(path.name)
    return found[1] if found else None


def remove_unfinished(path: Path) -> None:
    """Remove what kills left of files that were to take the place of `path`."""
    if not path.parent.is_dir():
        return
    for entry in path.parent.iterdir():
        if unfinished_name(entry) == path.name:
            # A writer that lives holds the lock; a file of another user stays.
            with contextlib.suppress(OSError), entry.open("rb") as held:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                entry.unlink()
