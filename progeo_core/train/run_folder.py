"""The folder of one run: its configuration, versions, logs and results."""

from __future__ import annotations

import dataclasses
import datetime
import json
import platform
import sys
from importlib import metadata
from pathlib import Path

from progeo_core.train.settings import TrainingSettings

LOGS = Path("logs")
_PACKAGES = ("torch", "torchvision", "open_clip_torch", "numpy", "opencv-python-headless")


def create_run_folder(settings: TrainingSettings, stage: str, logs: Path = LOGS) -> Path:
    """Create logs/SAVE_DIR/STAGE/TIMESTAMP with `settings.json` in it: settings and versions."""
    folder = _unused_folder(logs / settings.run.save_dir / stage)
    content = {"schema": 1, "stage": stage, "command": sys.argv, "versions": versions()}
    content["settings"] = dataclasses.asdict(settings)
    (folder / "settings.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return folder


def versions() -> dict[str, str]:
    """Return the versions of what the figures depend on."""
    found = {"python": platform.python_version(), "platform": platform.platform()}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


def _unused_folder(parent: Path) -> Path:
    """Create a folder named after this second, the next free one if two runs share it."""
    moment = datetime.datetime.now()
    while True:
        folder = parent / moment.strftime("%Y-%m-%d_%H-%M-%S")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            moment += datetime.timedelta(seconds=1)
        else:
            return folder
