"""The folder of one run: its configuration, versions, logs and results."""

from __future__ import annotations

import dataclasses
import datetime
import json
import sys
from pathlib import Path

from progeo_core.train.settings import TrainingSettings
from progeo_core.versions import versions

LOGS = Path("logs")


def create_run_folder(settings: TrainingSettings, stage: str, logs: Path = LOGS) -> Path:
    """Create logs/SAVE_DIR/STAGE/TIMESTAMP with `settings.json` in it: settings and versions."""
    folder = _unused_folder(logs / settings.run.save_dir / stage)
    content = {"schema": 1, "stage": stage, "command": sys.argv, "versions": versions()}
    content["settings"] = dataclasses.asdict(settings)
    (folder / "settings.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return folder


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
