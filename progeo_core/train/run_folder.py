"""The folder of one run: its configuration, versions, logs and results."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import json
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from progeo_core.atomic_file import unfinished_name
from progeo_core.train.checkpoint import replace_file
from progeo_core.train.file_lock import lock_file
from progeo_core.train.settings import TrainingSettings
from progeo_core.versions import versions

LOGS = Path("logs")
# Where a run keeps the descriptors of a validation until it is done.
SCRATCH = "validation"
_SETTINGS = "settings.json"
# Open files whose locks say that their runs are alive; they are closed when the process ends.
_alive: list[BinaryIO] = []


def create_run_folder(settings: TrainingSettings, stage: str, logs: Path = LOGS) -> Path:
    """Create logs/SAVE_DIR/STAGE/TIMESTAMP with `settings.json` in it: settings and versions.

    What killed runs of the same stage left unfinished is removed; their results stay.
    """
    parent = logs / settings.run.save_dir / stage
    parent.mkdir(parents=True, exist_ok=True)
    content = {"schema": 1, "stage": stage, "command": sys.argv, "versions": versions()}
    content["settings"] = dataclasses.asdict(settings)
    with _only_start(parent) as only:
        if only:
            _remove_leftovers(parent)
        folder = _unused_folder(parent)
        replace_file(folder / _SETTINGS, (json.dumps(content, indent=2) + "\n").encode())
        opened = (folder / _SETTINGS).open("rb")
        lock_file(opened.fileno())
        _alive.append(opened)
    return folder


def _unused_folder(parent: Path) -> Path:
    """Create a folder named after this second, the next free one if two runs share it."""
    moment = datetime.datetime.now()
    while True:
        folder = parent / moment.strftime("%Y-%m-%d_%H-%M-%S")
        try:
            folder.mkdir()
        except FileExistsError:
            moment += datetime.timedelta(seconds=1)
        else:
            return folder


@contextlib.contextmanager
def _only_start(parent: Path) -> Iterator[bool]:
    """Delay other starts for the length of a `with` block; give whether this folder has locks."""
    descriptor = os.open(parent, os.O_RDONLY)
    try:
        yield lock_file(descriptor, wait=True)
    finally:
        os.close(descriptor)


def _remove_leftovers(parent: Path) -> None:
    """Remove unfinished files and scratch folders of runs whose processes are gone."""
    for run in parent.iterdir():
        settings = run / _SETTINGS
        if settings.is_file():
            with settings.open("rb") as file:
                if lock_file(file.fileno()):
                    _clean(run)
        elif run.is_dir() and all(_is_unfinished(path) for path in run.iterdir()):
            shutil.rmtree(run)  # killed before it had begun


def _clean(run: Path) -> None:
    shutil.rmtree(run / SCRATCH, ignore_errors=True)
    for path in run.rglob("*"):
        if _is_unfinished(path):
            path.unlink()


def _is_unfinished(path: Path) -> bool:
    """Whether a file was to take the place of another one (see `replaced_file`)."""
    return unfinished_name(path) is not None and path.is_file()
