"""Names for what was computed of many files, which change when one of the files does."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path


def files_key(identity: str, files: Iterable[Path]) -> str:
    """Return 32 hex digits for what is computed of files, in their order.

    identity: all that it depends on but the files. A file is the same one as long as its path, its
    size and the time of its last change are; one that is missing is another one.
    """
    digest = hashlib.sha256(identity.encode(errors="surrogateescape"))
    for path in files:
        digest.update(f"\0{path}\0{_version(path)}".encode(errors="surrogateescape"))
    return digest.hexdigest()[:32]


def _version(path: Path) -> str:
    """Return a text that differs after a file was changed or replaced."""
    try:
        status = path.stat()
    except OSError:
        return "missing"
    return f"{status.st_size} {status.st_mtime_ns}"
