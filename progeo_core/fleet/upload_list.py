"""List of the maps whose new places are still to go up to a fleet's store; it survives restarts.

The places themselves stay in their maps: what the store has acknowledged is asked of it again.
"""

from __future__ import annotations

import dataclasses
import json
import logging
from pathlib import Path

from progeo_core.atomic_file import replaced_file
from progeo_core.errors import DataError

_log = logging.getLogger(__name__)


@dataclasses.dataclass
class Upload:
    """Map of which the places with ids above `first` are to go up.

    upto: the last id that the store has acknowledged in this run. waiting: how many are left.
    """

    map_path: str
    lineage: str
    first: int
    upto: int = 0
    waiting: int = 0

    def __post_init__(self) -> None:
        self.upto = max(self.upto, self.first)


class UploadList:
    """Maps with places to go up, in the order in which they were mapped."""

    def __init__(self, path: Path) -> None:
        """Read the list that an earlier run left; one that cannot be read is begun anew."""
        self._path = path
        self.uploads: list[Upload] = []
        if path.exists():
            try:
                kept = json.loads(path.read_text("utf-8"))
                self.uploads = [Upload(str(a), str(b), int(c)) for a, b, c in kept]
            except (OSError, ValueError, TypeError) as error:
                _log.warning(
                    "%s: the list of maps to share cannot be read; 'progeo fleet push' shares what"
                    " was mapped before (%s)",
                    path,
                    error,
                )

    def add(self, map_path: Path, lineage: str, first: int) -> None:
        """Add a map before new places come to it, with the last id before these.

        Raises `DataError` where the list cannot be written.
        """
        name = str(map_path.resolve())
        if any((one.map_path, one.lineage) == (name, lineage) for one in self.uploads):
            return
        others = [one for one in self.uploads if one.map_path != name]
        self._write([*others, Upload(name, lineage, first)])

    def remove(self, upload: Upload) -> None:
        """Forget a map of which nothing is left to go up."""
        self._write([one for one in self.uploads if one is not upload])

    def _write(self, uploads: list[Upload]) -> None:
        text = json.dumps([[one.map_path, one.lineage, one.first] for one in uploads])
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with replaced_file(self._path) as unfinished:
                unfinished.write_text(text, "utf-8")
        except OSError as error:
            raise DataError(
                f"{self._path}: the list of maps to share cannot be written; free some room, or set"
                f" fleet.cache_folder ({error.strerror})"
            ) from error
        self.uploads = uploads
