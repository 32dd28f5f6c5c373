"""Files that kills leave beside a map; the next program that may write the map removes them."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from progeo_core.atomic_file import remove_unfinished


def remove_leftovers(map_path: Path) -> None:
    """Remove unfinished maps and index files of that name; the caller holds the map's lock."""
    real = map_path.resolve()
    # As `tempfile` names them.
    scratch = re.compile(rf"\.{re.escape(real.name)}-[a-z0-9_]{{8}}")
    if real.parent.is_dir():
        for entry in real.parent.iterdir():
            if scratch.fullmatch(entry.name) and not entry.is_symlink():
                shutil.rmtree(entry, ignore_errors=True)
    remove_unfinished(real.with_suffix(".faiss"))
