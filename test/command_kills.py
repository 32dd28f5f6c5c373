"""Kills -9 of `progeo` commands at random moments; what they write is there whole, or not at all.

Each command works on a copy of one folder. A process that has imported everything forks the
commands, so that kills meet their work and not Python's start.
"""

from __future__ import annotations

import csv
import json
import multiprocessing
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from progeo_core import cli
from progeo_core.map.place_map import PlaceMap
from progeo_core.model.model_folder import read_model
from progeo_core.model.stored_model import find_model_folder, is_model_folder
from test.map_kills import Kill

DEMO_DATA = Path(cli.__file__).parent / "demo_data"
SITE, QUERIES, CHECKPOINT, MODEL = "site.progeo", "query.csv", "best_model.pth", "model"
ROWS, NAMES = "out.npy", "out.json"
PATIENCE_S = 300.0
# Imported once, before the commands are forked.
_IMPORTS = (
    *("torch", "faiss", "cv2", "pydantic", "progeo_core.cli"),
    *("progeo_core.inference.loading", "progeo_core.model.authors_checkpoint"),
    *("progeo_core.evaluation.calibrate_map", "progeo_core.descriptors.descriptor_file"),
)


class Case(NamedTuple):
    """Command that is killed; `prepare` makes its folder, in which `arguments` are.

    look: what the command has written so far; raises where that is torn.
    """

    arguments: tuple[str, ...]
    prepare: Callable[[Path], None]
    look: Callable[[Path], object]


class CommandKills:
    """Kills of one command: `before` and `after` are what is written without them."""

    def __init__(self, name: str, folder: Path) -> None:
        """Prepare in an empty folder, and run the command to its end to see how long it takes."""
        self._case, self._folder = CASES[name], folder
        self._prepared = folder / "prepared"
        self._prepared.mkdir()
        self._case.prepare(self._prepared)
        self.before = self._case.look(self._prepared)
        self._commands = multiprocessing.get_context("forkserver")
        self._commands.set_forkserver_preload(list(_IMPORTS))
        self._run(self._copy())  # the first one starts the process that forks
        started = time.monotonic()
        self._run(whole := self._copy())
        self._life_s = time.monotonic() - started
        self.after = self._case.look(whole)
        self._files = _names(whole)
        assert self.before != self.after

    def kill(self, rng: np.random.Generator) -> Kill:
        """Kill the command once and look; what it left, the next one that ends well must remove."""
        folder = self._copy()
        command = self._start(folder)
        command.join(rng.uniform(0.0, 1.1 * self._life_s))
        command.kill()
        command.join()
        acknowledged = int(command.exitcode == 0)
        found = self._case.look(folder)
        assert found in (self.before, self.after), found
        left = _names(folder) - self._files
        if left:
            self._run(folder)
            left = _names(folder) - self._files
        return Kill(acknowledged, int(acknowledged and found != self.after), tuple(sorted(left)))

    def _copy(self) -> Path:
        folder = self._folder / "work"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self._prepared, folder, symlinks=True)
        return folder

    def _start(self, folder: Path) -> multiprocessing.context.ForkServerProcess:
        command = self._commands.Process(target=_command, args=(folder, self._case.arguments))
        command.start()
        return command

    def _run(self, folder: Path) -> None:
        command = self._start(folder)
        command.join(PATIENCE_S)
        assert command.exitcode == 0


def _command(folder: Path, arguments: tuple[str, ...]) -> None:
    os.chdir(folder)
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    os.dup2(nothing, 2)
    os._exit(cli.main(arguments))


def _names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def _prepare_map(folder: Path) -> None:
    """Make a map of a corridor, and a table of other images of it."""
    for name in ("ref", "query"):
        table = DEMO_DATA / "corridor" / f"{name}.csv"
        with table.open() as file, (folder / f"{name}.csv").open("w") as chosen:
            rows = csv.DictReader(file)
            writer = csv.DictWriter(chosen, rows.fieldnames or ())
            writer.writeheader()
            few = ({**row, "image": table.parent / row["image"]} for row in list(rows)[::5])
            writer.writerows(few)
    build = ["map", "build", str(folder / SITE), "--records", str(folder / "ref.csv"), *_MODEL]
    assert cli.main(build) == 0


def _look_at_map(folder: Path) -> object:
    with PlaceMap.open(folder / SITE) as place_map:
        place_map.verify()
        return len(place_map), place_map.calibration()


def _prepare_checkpoint(folder: Path) -> None:
    """Make a checkpoint of the model that ships, with other weights than that has."""
    import torch

    shipped = find_model_folder("mobilenetv2-gem")
    assert shipped is not None
    state = read_model(shipped, with_text=False).state
    torch.save({**state, "aggregation.1.p": torch.tensor([2.5])}, folder / CHECKPOINT)


def _prepare_older_model(folder: Path) -> None:
    _prepare_checkpoint(folder)
    shipped = find_model_folder("mobilenetv2-gem")
    assert shipped is not None
    shutil.copytree(shipped, folder / MODEL)


def _look_at_model(folder: Path) -> object:
    if not is_model_folder(folder / MODEL):
        return None
    return read_model(folder / MODEL, with_text=False).card


def _prepare_photos(folder: Path) -> None:
    (folder / "photos").mkdir()
    for image in sorted((DEMO_DATA / "corridor" / "ref").iterdir())[:10]:
        (folder / "photos" / image.name).symlink_to(image)


def _look_at_rows(folder: Path) -> object:
    """Return the names of the rows; none where either file is missing."""
    if not (folder / ROWS).exists() or not (folder / NAMES).exists():
        return None
    named = json.loads((folder / NAMES).read_text())["images"]
    assert len(named) == len(np.load(folder / ROWS))
    return named


_MODEL = ("--model", "progeo-tiny", "--runtime", "torch")
_IMPORT = ("model", "import", CHECKPOINT, "--backbone", "MobileNetV2", "--out", MODEL)
CASES = {
    "map calibrate": Case(
        ("map", "calibrate", SITE, "--queries", QUERIES, *_MODEL), _prepare_map, _look_at_map
    ),
    "model import": Case(_IMPORT, _prepare_checkpoint, _look_at_model),
    "model import over a model": Case(_IMPORT, _prepare_older_model, _look_at_model),
    "describe": Case(
        ("describe", "--images", "photos", "--out", ROWS, *_MODEL), _prepare_photos, _look_at_rows
    ),
}
