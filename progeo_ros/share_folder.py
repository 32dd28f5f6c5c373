"""Where the launch files and configurations of this package are."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from progeo_core.errors import DataError

_PACKAGE = "progeo_ros"


def shared_file(name: str) -> Path:
    """Return a file of the package, such as config/fastdds.xml; `DataError` if it is not there."""
    folders = list(_folders())
    for folder in folders:
        if (folder / name).is_file():
            return folder / name
    raise DataError(f"{name}: not in {', '.join(map(str, folders))}; install the package again")


def _folders() -> Iterator[Path]:
    """Yield the places to look: a source tree, ROS workspaces, the virtual environment."""
    yield Path(__file__).resolve().parent.parent
    workspaces = os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)
    for prefix in [*filter(None, workspaces), sys.prefix]:
        yield Path(prefix) / "share" / _PACKAGE
