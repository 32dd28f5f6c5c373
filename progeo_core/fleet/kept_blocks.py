"""Descriptors of a long run, kept on disk until it is done, so that it goes on where it was."""

from __future__ import annotations

import contextlib
import logging
import shutil
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from progeo_core.atomic_file import replaced_file
from progeo_core.descriptors.encoder import Skipped
from progeo_core.descriptors.files_key import files_key
from progeo_core.errors import ImageError
from progeo_core.fleet.described_blocks import DescribedBlock
from progeo_core.inference.runtime_memory import cache_folder
from progeo_core.map.described_images import DescribedImage

_log = logging.getLogger(__name__)


class KeptBlocks:
    """Blocks of one run, each a file in a folder of `$XDG_CACHE_HOME/progeo/described`.

    They have descriptors, and no thumbnails or views.
    """

    def __init__(self, identity: str, files: Iterable[Path]) -> None:
        """Name the run by what its descriptors depend on, and by the files that it reads."""
        key = files_key(identity, (path.resolve() for path in files))
        self._folder = cache_folder() / "described" / key

    def read(self) -> Iterator[DescribedBlock]:
        """Yield what an interrupted run has kept; damaged files count as missing."""
        for path in sorted(self._folder.glob("*.npz")):
            with contextlib.suppress(OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
                yield _block_in(path)

    def keep(self, block: DescribedBlock) -> None:
        """Write one block; a disk that takes no more makes the run no worse."""
        rows = [one.row for one in block.described] + [one.index for one in block.skipped]
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            path = self._folder / f"{min(rows)}.npz"
            with replaced_file(path) as unfinished, unfinished.open("wb") as file:
                np.savez(
                    file,
                    rows=np.array([one.row for one in block.described], np.int64),
                    descriptors=np.array([one.descriptor for one in block.described]),
                    skipped=np.array([one.index for one in block.skipped], np.int64),
                    errors=np.array([str(one.error) for one in block.skipped], np.str_),
                    runs_in=np.str_(block.runs_in),
                )
        except OSError as error:
            _log.info("%s: images are described again next time (%s)", self._folder, error)

    def remove(self) -> None:
        """Remove what was kept: the run is done."""
        shutil.rmtree(self._folder, ignore_errors=True)


def _block_in(path: Path) -> DescribedBlock:
    with np.load(path, allow_pickle=False) as kept:
        rows, errors = kept["skipped"].tolist(), kept["errors"].tolist()
        skipped = [Skipped(row, ImageError(why)) for row, why in zip(rows, errors, strict=True)]
        described = [
            DescribedImage(row, descriptor, b"", None)
            for row, descriptor in zip(kept["rows"].tolist(), kept["descriptors"], strict=True)
        ]
        return DescribedBlock(
            len(described) + len(skipped), described, skipped, None, str(kept["runs_in"])
        )
