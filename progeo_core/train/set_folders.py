"""Folders of a training or benchmark set, as the usual downloaders lay them out."""

from __future__ import annotations

import os
from pathlib import Path

from progeo_core.errors import DataError

_DATASETS_VARIABLE, _DATASETS_DEFAULT = "PROGEO_DATASETS", "datasets"
# pitts30k/images/test, sf_xl/processed/test, msls/val
_LAYOUTS = ("images", "processed", "")
# Sets that are published with one of the two only: MSLS without test, Tokyo 24/7 without val.
_STAND_IN = {"test": "val", "val": "test"}


def find_training_folder(name: str) -> Path:
    """Return the folder of training images: the `train` split of a set, or the folder itself.

    name: a folder, the root of a set, or a set's name below $PROGEO_DATASETS (default: datasets/).
    Raises `DataError` for a missing folder.
    """
    root = _root(name)
    if not root.is_dir():
        raise DataError(f"{root}: no such folder")
    return next((folder for folder in _splits(root, "train") if folder.is_dir()), root)


def find_benchmark_folder(name: str, split: str, database: str) -> Path:
    """Return the folder of a benchmark that contains the folder `database`.

    name: as for `find_training_folder`. split: "val" or "test"; a set with only one of them is used
    for both. Raises `DataError` where no such folder exists.
    """
    root = _root(name)
    folders = [root, *_splits(root, split), *_splits(root, _STAND_IN[split])]
    found = next((folder for folder in folders if (folder / database).is_dir()), None)
    if found is None:
        raise DataError(
            f"{root}: needs {database}/, here or in {split}/, images/{split}/ or"
            f" processed/{split}/; other names: --database_folder and --queries_folder"
        )
    return found


def _root(name: str) -> Path:
    """Return the folder of that name, below $PROGEO_DATASETS where there is none here."""
    folder = Path(name)
    named = Path(os.environ.get(_DATASETS_VARIABLE, _DATASETS_DEFAULT)) / name
    return folder if folder.is_dir() or not named.is_dir() else named


def _splits(root: Path, split: str) -> list[Path]:
    return [root / layout / split for layout in _LAYOUTS]
