"""Files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def replaced_file(path: Path) -> Iterator[Path]:
    """Give a new file's path to write to; when the block ends well, it takes the place of `path`.

    The content reaches the disk before the name does, so neither a kill nor a power cut leaves half
    a file under `path`. Where the block raises, `path` stays as it was.
    """
    unfinished = path.with_name(f"{path.name}-{os.getpid()}-new")
    try:
        yield unfinished
        with unfinished.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
